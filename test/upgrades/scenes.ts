/** Scenes in which objects write and say everything that they ever do. */
import type { Calls } from "../../src/runtime/calls.ts";
import { Course } from "../simulation/course.ts";
import { CALM, type Kind } from "../simulation/kind.ts";
import type { Action } from "../simulation/network.ts";
import { Simulation } from "../simulation/simulation.ts";
import { Recorder, type Recording } from "./recording.ts";

const open: Kind = { ...CALM, withFaults: true };

/** A service in which each object holds one socket and feeds one link. */
class Scene extends Simulation {
  readonly #recorder: Recorder;
  readonly #course = new Course(this, () => 0);

  constructor(recorder: Recorder, kind: Kind) {
    super(() => 0, kind);
    this.#recorder = recorder;
    this.overheard = (call) => recorder.hear(call);
  }

  /** Time stands still, but for where a scene says so: what is recorded does not depend on how much happens. */
  override async perform(action: Action): Promise<void> {
    const { now } = this;
    await super.perform(action);
    this.now = now;
    for (const object of this.objects) this.#recorder.look(object);
  }

  /** Lets everything come to rest. */
  quiesce(): Promise<void> {
    return this.#course.quiesce();
  }

  /** Goes on until a fault of this name can happen, and has it happen. */
  async fail(label: string): Promise<void> {
    for (;;) {
      const fault = this.objects.network.faults().find((fault) => fault.label.startsWith(label));
      if (fault) return await this.perform(fault);
      const [next] = this.#course.pending();
      if (!next) throw new Error(`it never comes to this: ${label}`);
      await this.perform(next);
    }
  }

  /** A Worker calls an object. */
  async ask<Kind extends keyof Calls>(to: string, kind: Kind, ask: Calls[Kind]["request"]): Promise<void> {
    const answer = this.objects.askFromWorker(to, kind, ask);
    await this.quiesce();
    this.#recorder.hear({ from: "a Worker", to, kind, ask, answer: await answer });
  }

  /** Has every object leave memory. */
  async sleep(): Promise<void> {
    await this.quiesce();
    for (const object of this.objects) this.objects.end(object);
    this.now += 60_000;
  }

  /** Has an object crash. */
  crashOf(name: string): void {
    this.objects.crash(this.objects.of(name));
  }

  /** Has an object's alarm go off. */
  ring(name: string): void {
    this.objects.ring(this.objects.of(name));
  }
}

const SCENES: { kind: Kind; play: (scene: Scene) => Promise<void> }[] = [
  { kind: open, play: everydayLife },
  { kind: open, play: trees },
  { kind: open, play: linkedToChild },
  { kind: open, play: failedCalls },
  { kind: open, play: crashesInDelivery },
  { kind: open, play: lostLinks },
  { kind: open, play: oldNumbers },
  { kind: { ...open, withHistory: true }, play: comingBack },
  { kind: { ...open, withHistory: true }, play: withoutConnections },
  { kind: { ...open, withHistory: true, withFullStorage: true }, play: fullStorage },
  { kind: { ...open, clientLimit: 2 }, play: counting },
  { kind: { ...open, withTokens: true }, play: tokens },
];

/** Plays all scenes. */
export async function record(): Promise<Recording> {
  const recorder = new Recorder();
  for (const { kind, play } of SCENES) {
    const scene = new Scene(recorder, kind);
    await play(scene);
    await scene.quiesce();
  }
  return recorder.recording;
}

async function everydayLife(scene: Scene): Promise<void> {
  const ann = scene.connect("news", "weur");
  await scene.quiesce();
  const bob = scene.connect("news");
  await scene.quiesce();
  bob.subscribe("sport");
  await scene.quiesce();
  ann.announce("sport", 2);
  ann.announce("news");
  ann.announce("all");
  await scene.quiesce();
  ann.info();
  await scene.sleep();
  ann.announce("all");
  ann.announce("news");
  await scene.quiesce();
  bob.unsubscribe("sport");
  scene.disconnect(ann);
  await scene.quiesce();
  scene.disconnect(bob);
}

/** What is kept is asked for, and a root that crashes in a delivery asks how far it came. */
async function comingBack(scene: Scene): Promise<void> {
  const ann = scene.connect("sport");
  const bob = scene.connect("art");
  await scene.quiesce();
  ann.subscribe("news", { since: "now" });
  ann.announceOnce("news", 2);
  await scene.quiesce();
  bob.subscribe("news", { last: 1 });
  await scene.quiesce();
  bob.unsubscribe("news");
  bob.announce("news");
  await scene.quiesce();
  bob.subscribe("news", { since: bob.reading.paused.get("news")?.position ?? 0 });
  await scene.quiesce();
  ann.announce("news");
  await scene.fail("failed, carried out later: news -> sport: deliver");
  scene.crashOf("news");
  // The first call after a crash fails. Time passes, as how deep events are is remembered for a while.
  for (let tries = 0; tries < 2; tries++) {
    scene.now += 10_000;
    bob.announce("news");
    await scene.quiesce();
  }
  scene.disconnect(ann);
  scene.disconnect(bob);
}

/** Workers announce, and ask how a channel is heard; what is counted by who has no connection is told. */
async function withoutConnections(scene: Scene): Promise<void> {
  const ann = scene.connect("news");
  await scene.quiesce();
  ann.subscribe("sport");
  await scene.quiesce();
  await scene.ask("sport", "announce", { lines: "sport!a\nsport!b\n", count: 2, key: "k" });
  await scene.ask("sport", "announce", { lines: "sport!c\n", count: 1, expected: 1 });
  await scene.ask("sport", "describe", { channel: "sport" });
  scene.disconnect(ann);
  await scene.quiesce();
}

/** Storage takes no more rows: the root gives new numbers, and says so. */
async function fullStorage(scene: Scene): Promise<void> {
  const ann = scene.connect("news");
  const bob = scene.connect("sport");
  await scene.quiesce();
  bob.subscribe("news", { since: "now" });
  await scene.quiesce();
  ann.announce("news");
  await scene.quiesce();
  scene.rowsLeft = 0;
  ann.announce("news");
  await scene.quiesce();
}

/** Objects are told which child to ask instead, and ask it. */
async function trees(scene: Scene): Promise<void> {
  const clients = ["all", "news", "sport", "art"].map((channel) => scene.connect(channel));
  await scene.quiesce();
  for (const client of clients) client.announce("all");
  await scene.sleep();
  scene.connect("art");
  await scene.quiesce();
  // A child that was left with nothing but links.
  scene.crashOf("all!1");
  scene.ring("all!1");
  await scene.quiesce();
  for (const client of clients) scene.disconnect(client);
  await scene.sleep();
}

/** A child with a connection of its own takes a link for which its parent has no room. */
async function linkedToChild(scene: Scene): Promise<void> {
  scene.connect("news");
  const ann = scene.connect("news");
  const others = ["sport", "art"].map((channel) => scene.connect(channel));
  await scene.quiesce();
  for (const other of others) {
    other.subscribe("news");
    await scene.quiesce();
  }
  scene.disconnect(ann);
}

/** Calls fail, and their fate is unknown. */
async function failedCalls(scene: Scene): Promise<void> {
  const ann = scene.connect("all");
  const bob = scene.connect("news");
  await scene.quiesce();
  ann.announce("all");
  await scene.fail("failed, carried out later: all -> news: deliver");
  await scene.quiesce();
  scene.disconnect(bob);
  await scene.fail("lost: news -> all: unlink");
  ann.info();
  await scene.quiesce();
}

/** Objects crash while something is delivered. */
async function crashesInDelivery(scene: Scene): Promise<void> {
  const ann = scene.connect("all");
  for (const channel of ["news", "sport"]) scene.connect(channel).subscribe("art");
  await scene.quiesce();
  ann.announce("art");
  ann.announce("all");
  await scene.fail("failed, carried out later: art -> news: deliver");
  scene.crashOf("news");
  await scene.quiesce();
  scene.connect("all").announce("all");
  await scene.fail("lost: all");
  scene.crashOf("all");
  scene.ring("all");
  await scene.quiesce();
}

/** A child finds out, by asking its parent or by being told, that it has missed something. */
async function lostLinks(scene: Scene): Promise<void> {
  const ann = scene.connect("all");
  scene.connect("news");
  for (const fault of ["lost: all!1 -> sport: deliver", "failed, carried out later: all -> all!1: deliver"]) {
    scene.connect("sport");
    await scene.quiesce();
    ann.announce("all");
    await scene.fail(fault);
    scene.crashOf("all!1");
    scene.ring("all!1");
    await scene.quiesce();
  }
  scene.connect("sport");
  await scene.quiesce();
  ann.announce("all");
  await scene.fail("lost: all!1 -> sport: deliver");
  scene.crashOf("all");
  scene.ring("all");
  await scene.quiesce();
}

/** An object that has crashed begins with numbers that it has used before, as its clock is behind. */
async function oldNumbers(scene: Scene): Promise<void> {
  const ann = scene.connect("news");
  await scene.quiesce();
  ann.announce("sport");
  await scene.quiesce();
  scene.disconnect(ann);
  await scene.fail("lost: news -> all: unlink");
  scene.crashOf("news");
  scene.now -= 10;
  const bob = scene.connect("news");
  await scene.quiesce();
  bob.announce("sport");
  await scene.quiesce();
}

async function counting(scene: Scene): Promise<void> {
  const clients = ["news", "sport", "art"].map((channel) => scene.connect(channel));
  await scene.quiesce();
  for (const client of clients) scene.disconnect(client);
}

async function tokens(scene: Scene): Promise<void> {
  const ann = scene.connect("news");
  await scene.quiesce();
  ann.renew("2000000000");
  ann.subscribe("sport");
  await scene.sleep();
}
