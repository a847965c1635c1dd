/** Token buckets under any sequence of requests. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { charge, isFull, newBucket, take } from "../../../src/session/rate.ts";

const rate = fc.integer({ min: 1, max: 1_000_000 });
const start = fc.integer({ min: 1_700_000_000_000, max: 1_800_000_000_000 });

test("a full bucket holds the allowance of one second, and no more", () => {
  fc.assert(
    fc.property(rate, start, (perSecond, now) => {
      const bucket = newBucket();
      expect(take(bucket, perSecond, perSecond, now)).toBe(perSecond);
      expect(take(bucket, 1, perSecond, now)).toBe(0);
    }),
  );
});

test("over any period, a bucket gives at most its rate plus the allowance of one second", () => {
  const wishes = fc.array(fc.record({ after: fc.nat(3_000), wanted: fc.nat(2_000_000) }), { maxLength: 50 });
  fc.assert(
    fc.property(rate, start, wishes, (perSecond, begun, steps) => {
      const bucket = newBucket();
      let now = begun;
      let given = 0;
      for (const { after, wanted } of steps) {
        now += after;
        const taken = take(bucket, wanted, perSecond, now);
        expect(taken).toBeLessThanOrEqual(wanted);
        given += taken;
        expect(given).toBeLessThanOrEqual(perSecond * (1 + (now - begun) / 1000) + 1e-3);
      }
    }),
  );
});

test("requests within the rate always succeed", () => {
  fc.assert(
    fc.property(rate, start, fc.array(fc.integer({ min: 1, max: 900 }), { maxLength: 50 }), (perSecond, now, gaps) => {
      const bucket = newBucket();
      let time = now;
      for (const gap of gaps) {
        time += gap;
        const due = Math.floor((gap * perSecond) / 1000);
        expect(take(bucket, due, perSecond, time)).toBe(due);
      }
    }),
  );
});

test("a bucket is full after one second, and a clock that goes back does no harm", () => {
  fc.assert(
    fc.property(rate, start, fc.nat(2_000_000), fc.nat(10_000), (perSecond, now, wanted, back) => {
      const bucket = newBucket();
      take(bucket, wanted, perSecond, now);
      expect(take(bucket, 0, perSecond, now - back)).toBe(0);
      expect(take(bucket, perSecond, perSecond, now + 1_000)).toBe(perSecond);
    }),
  );
});

test("over any period, charges are at most the rate plus the allowance of one second and one charge", () => {
  const steps = fc.array(fc.record({ after: fc.nat(30_000), cost: fc.nat(100_000) }), { maxLength: 50 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000 }), start, steps, (perSecond, begun, wishes) => {
      const bucket = newBucket();
      let [now, charged, last] = [begun, 0, 0];
      for (const { after, cost } of wishes) {
        now += after;
        if (charge(bucket, cost, perSecond, now) > 0) continue;
        charged += last;
        last = cost;
        expect(charged).toBeLessThanOrEqual(perSecond * (1 + (now - begun) / 1_000) + 1e-3);
      }
    }),
  );
});

test("a refused charge succeeds after the time returned, and not before", () => {
  const costs = fc.array(fc.nat(100_000), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000 }), start, costs, (perSecond, begun, wishes) => {
      const bucket = newBucket();
      let now = begun;
      for (const cost of wishes) {
        const wait = charge(bucket, cost, perSecond, now);
        if (wait === 0) continue;
        if (wait > 1) expect(charge(bucket, cost, perSecond, now + wait - 1)).toBeGreaterThan(0);
        now += wait + 1;
        expect(charge(bucket, cost, perSecond, now)).toBe(0);
      }
      expect(isFull(bucket, perSecond, now + 1_000 * (1 + 100_000 / perSecond))).toBe(true);
    }),
  );
});
