import { expect, it } from "vitest";
import { roundUp, spans } from "./periods";

const NOW = new Date("2026-03-02T10:20:00Z");

it("puts spans side by side, until the end of this hour", () => {
  const week = spans("week", NOW, "en-US");
  expect(week).toHaveLength(7);
  expect(week.at(-1)?.to).toBe("2026-03-02T11:00:00.000Z");
  expect(week[0]?.from).toBe("2026-02-23T11:00:00.000Z");
  for (const [place, span] of week.entries()) expect(span.from).toBe(place === 0 ? week[0]?.from : week[place - 1]?.to);
  expect(spans("day", NOW)).toHaveLength(8);
});

it("ends an axis at a round number", () => {
  expect([0, 1, 3, 7, 12, 480, 501].map(roundUp)).toEqual([1, 1, 5, 10, 20, 500, 1000]);
});
