import { expect, it } from "vitest";
import { ageText } from "./ages";

it("says an age in one unit", () => {
  expect([0, 1.24, 59, 119, 120, 7_199, 7_200, 172_800].map(ageText)).toEqual([
    "0 s",
    "1.2 s",
    "59 s",
    "119 s",
    "2 min",
    "120 min",
    "2 h",
    "2 d",
  ]);
});
