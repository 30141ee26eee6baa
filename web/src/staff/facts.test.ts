import { expect, it } from "vitest";
import { changedNames } from "./Changes";
import { factTexts } from "./facts";

it("says what rules saw in words", () => {
  expect(factTexts({ sent_withdrawal_within_60_seconds: { count: 3, sum: 120000 }, paid_before: false })).toEqual([
    "sent withdrawal within 60 seconds: count 3, sum 120000",
    "paid before: no",
  ]);
});

it("shows first what an act has changed", () => {
  expect(changedNames({ tier: 1, status: "active" }, { tier: 1, status: "frozen", frozen: "both" })).toEqual([
    { name: "status", isChanged: true },
    { name: "frozen", isChanged: true },
    { name: "tier", isChanged: false },
  ]);
  expect(changedNames(null, null)).toEqual([]);
});
