/** Scenes in which objects store and send everything that they ever do. */
import type { Calls } from "../../src/runtime/calls.ts";
import type { Action } from "../simulation/network.ts";
import { CALM, type Profile } from "../simulation/profile.ts";
import { Scheduler } from "../simulation/scheduler.ts";
import { Simulation } from "../simulation/simulation.ts";
import { Recorder, type Recording } from "./recording.ts";

const open: Profile = { ...CALM, withFaults: true };

/** A service in which each object holds one socket and feeds one link. */
class Scene extends Simulation {
  readonly #recorder: Recorder;
  readonly #scheduler = new Scheduler(this, () => 0);

  constructor(recorder: Recorder, profile: Profile) {
    super(() => 0, profile);
    this.#recorder = recorder;
    this.observe = (call) => recorder.addCall(call);
  }

  /** Keeps the clock still, except where a scene moves it, so that recordings don't depend on the number of actions. */
  override async perform(action: Action): Promise<void> {
    const { now } = this;
    await super.perform(action);
    this.now = now;
    for (const object of this.objects) this.#recorder.addObject(object);
  }

  /** Runs until nothing is pending. */
  quiesce(): Promise<void> {
    return this.#scheduler.quiesce();
  }

  /** Returns the outcome of a step once everything that it causes has happened. */
  async after<Outcome>(outcome: Outcome): Promise<Outcome> {
    await this.quiesce();
    return outcome;
  }

  /** Runs until a fault with this label is possible, and performs it. */
  async fail(label: string): Promise<void> {
    for (;;) {
      const fault = this.objects.network.faults().find((fault) => fault.label.startsWith(label));
      if (fault) return await this.perform(fault);
      const [next] = this.#scheduler.pending();
      if (!next) throw new Error(`the scene never gets to: ${label}`);
      await this.perform(next);
    }
  }

  /** Calls an object as a Worker does. */
  async ask<Kind extends keyof Calls>(to: string, kind: Kind, ask: Calls[Kind]["request"]): Promise<void> {
    const answer = this.objects.askFromWorker(to, kind, ask);
    await this.quiesce();
    this.#recorder.addCall({ from: "a Worker", to, kind, ask, answer: await answer });
  }

  /** Evicts every object from memory. */
  async sleep(): Promise<void> {
    await this.quiesce();
    for (const object of this.objects) this.objects.end(object);
    this.now += 60_000;
  }

  /** Crashes an object. */
  crashOf(name: string): void {
    this.objects.crash(this.objects.of(name));
  }

  /** Fires an object's alarm. */
  ring(name: string): void {
    this.objects.ring(this.objects.of(name));
  }
}

const SCENES: { profile: Profile; run: (scene: Scene) => Promise<void> }[] = [
  { profile: open, run: everydayUse },
  { profile: open, run: trees },
  { profile: open, run: linkedToChild },
  { profile: open, run: failedCalls },
  { profile: open, run: crashesInDelivery },
  { profile: open, run: lostLinks },
  { profile: open, run: oldNumbers },
  { profile: { ...open, withHistory: true }, run: resuming },
  { profile: { ...open, withHistory: true }, run: withoutConnections },
  { profile: { ...open, withHistory: true, withFullStorage: true }, run: fullStorage },
  { profile: { ...open, clientLimit: 2 }, run: counting },
  { profile: { ...open, withTokens: true }, run: tokens },
  { profile: { ...open, withHistory: true, withPresence: true }, run: presence },
  { profile: { ...open, withHistory: true, withPresence: true }, run: members },
];

/** Runs all scenes. */
export async function record(): Promise<Recording> {
  const recorder = new Recorder();
  for (const { profile, run } of SCENES) {
    const scene = new Scene(recorder, profile);
    await run(scene);
    await scene.quiesce();
  }
  return recorder.recording;
}

async function everydayUse(scene: Scene): Promise<void> {
  const ann = await scene.after(scene.connect("news", "weur"));
  const bob = await scene.after(scene.connect("news"));
  await scene.after(bob.subscribe("sport"));
  ann.announce("sport", 2);
  ann.announce("news");
  await scene.after(ann.announce("all"));
  ann.info();
  await scene.sleep();
  ann.announce("all");
  await scene.after(ann.announce("news"));
  bob.unsubscribe("sport");
  await scene.after(scene.disconnect(ann));
  scene.disconnect(bob);
}

/** Clients resume, and a root that crashes in a delivery asks how far that came. */
async function resuming(scene: Scene): Promise<void> {
  const ann = scene.connect("sport");
  const bob = await scene.after(scene.connect("art"));
  ann.subscribe("news", { since: "now" });
  await scene.after(ann.announceOnce("news", 2));
  await scene.after(bob.subscribe("news", { last: 1 }));
  bob.unsubscribe("news");
  await scene.after(bob.announce("news"));
  await scene.after(bob.subscribe("news", { since: bob.received.paused.get("news")?.position ?? 0 }));
  ann.announce("news");
  await scene.fail("failed, executed later: news -> sport: deliver");
  scene.crashOf("news");
  // The first call after a crash fails. Time passes, as how deep events are is remembered for a while.
  for (let tries = 0; tries < 2; tries++) {
    scene.now += 10_000;
    await scene.after(bob.announce("news"));
  }
  scene.disconnect(ann);
  scene.disconnect(bob);
}

/** Members enter, their object crashes, and the object that knows them asks others again. */
async function presence(scene: Scene): Promise<void> {
  const ann = await scene.after(scene.connect("a"));
  const bob = await scene.after(scene.connect("b"));
  await scene.after(ann.enter("a", { member: "ann", data: "here" }));
  await scene.after(bob.enter("a", { member: "bob", data: "" }));
  await scene.after(ann.enter("a", { member: "ann", data: "there" }));
  await scene.after(bob.list("a"));
  await scene.sleep();
  await scene.after(ann.list("a"));
  scene.now += 60_000;
  await scene.after(bob.leave("a"));
  await scene.ask("presence/a", "members", undefined);
  scene.disconnect(ann);
  scene.disconnect(bob);
}

/** Workers announce on a channel and describe it; an object without connections reports its counters. */
async function withoutConnections(scene: Scene): Promise<void> {
  const ann = await scene.after(scene.connect("news"));
  await scene.after(ann.subscribe("sport"));
  await scene.ask("sport", "announce", { lines: "sport!a\nsport!b\n", count: 2, key: "k" });
  await scene.ask("sport", "announce", { lines: "sport!c\n", count: 1, expected: 1 });
  await scene.ask("sport", "describe", { channel: "sport" });
  await scene.after(scene.disconnect(ann));
}

/** Storage accepts no more rows: the root skips positions, and reports that. */
async function fullStorage(scene: Scene): Promise<void> {
  const ann = scene.connect("news");
  const bob = await scene.after(scene.connect("sport"));
  await scene.after(bob.subscribe("news", { since: "now" }));
  await scene.after(ann.announce("news"));
  scene.rowsLeft = 0;
  await scene.after(ann.announce("news"));
}

/** Objects are redirected to a child, and link to it. */
async function trees(scene: Scene): Promise<void> {
  const clients = await scene.after(["all", "news", "sport", "art"].map((channel) => scene.connect(channel)));
  for (const client of clients) client.announce("all");
  await scene.sleep();
  await scene.after(scene.connect("art"));
  // Leaves a child with nothing but links.
  scene.crashOf("all!1");
  await scene.after(scene.ring("all!1"));
  for (const client of clients) scene.disconnect(client);
  await scene.sleep();
}

/** A child with its own connection accepts a link that its parent has no room for. */
async function linkedToChild(scene: Scene): Promise<void> {
  scene.connect("news");
  const ann = scene.connect("news");
  const others = await scene.after(["sport", "art"].map((channel) => scene.connect(channel)));
  for (const other of others) {
    await scene.after(other.subscribe("news"));
  }
  scene.disconnect(ann);
}

/** Calls fail with an unknown outcome. */
async function failedCalls(scene: Scene): Promise<void> {
  const ann = scene.connect("all");
  const bob = await scene.after(scene.connect("news"));
  ann.announce("all");
  await scene.fail("failed, executed later: all -> news: deliver");
  await scene.quiesce();
  scene.disconnect(bob);
  await scene.fail("lost: news -> all: unlink");
  await scene.after(ann.info());
}

/** Objects crash while they deliver. */
async function crashesInDelivery(scene: Scene): Promise<void> {
  const ann = scene.connect("all");
  for (const channel of ["news", "sport"]) scene.connect(channel).subscribe("art");
  await scene.quiesce();
  ann.announce("art");
  ann.announce("all");
  await scene.fail("failed, executed later: art -> news: deliver");
  scene.crashOf("news");
  await scene.quiesce();
  scene.connect("all").announce("all");
  await scene.fail("lost: all");
  scene.crashOf("all");
  await scene.after(scene.ring("all"));
}

/** A child learns, from its parent or by asking it, that it missed a message. */
async function lostLinks(scene: Scene): Promise<void> {
  const ann = scene.connect("all");
  scene.connect("news");
  for (const fault of ["lost: all!1 -> sport: deliver", "failed, executed later: all -> all!1: deliver"]) {
    await scene.after(scene.connect("sport"));
    ann.announce("all");
    await scene.fail(fault);
    scene.crashOf("all!1");
    await scene.after(scene.ring("all!1"));
  }
  await scene.after(scene.connect("sport"));
  ann.announce("all");
  await scene.fail("lost: all!1 -> sport: deliver");
  scene.crashOf("all");
  await scene.after(scene.ring("all"));
}

/** An object that crashed reuses old epochs, because its clock is behind. */
async function oldNumbers(scene: Scene): Promise<void> {
  const ann = await scene.after(scene.connect("news"));
  await scene.after(ann.announce("sport"));
  scene.disconnect(ann);
  await scene.fail("lost: news -> all: unlink");
  scene.crashOf("news");
  scene.now -= 10;
  const bob = await scene.after(scene.connect("news"));
  await scene.after(bob.announce("sport"));
}

async function counting(scene: Scene): Promise<void> {
  const clients = await scene.after(["news", "sport", "art"].map((channel) => scene.connect(channel)));
  for (const client of clients) scene.disconnect(client);
}

async function tokens(scene: Scene): Promise<void> {
  const ann = await scene.after(scene.connect("news"));
  ann.renew("2000000000");
  ann.subscribe("sport");
  await scene.sleep();
}

/** Clients enter, change their data, ask who is there, and leave or lose their connections. */
async function members(scene: Scene): Promise<void> {
  const ann = await scene.after(scene.connect("a"));
  const bob = await scene.after(scene.connect("news"));
  await scene.after(ann.enter("a", { member: "ann", data: "1" }));
  await scene.after(bob.enter("a", { member: "bob", data: "" }));
  await scene.after(ann.enter("a", { member: "ann", data: "2" }));
  await scene.after(bob.list("a"));
  scene.now += 120_000;
  await scene.sleep();
  await scene.after(bob.list("a"));
  await scene.after(ann.leave("a"));
  scene.disconnect(bob);
}
