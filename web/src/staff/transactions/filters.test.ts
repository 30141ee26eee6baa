import { expect, it } from "vitest";
import { allFilters, asQuery } from "./filters";

const account = `acc_${"a".repeat(26)}`;

it("keeps the filters of an address that fit, and leaves out the rest", () => {
  const fits = { state: "debited", kind: "reversal", currency: "INR", account, least: 100, unmoved: "600" };
  expect(allFilters({ ...fits, attention: true, from: "2026-02-28" })).toEqual({
    ...fits,
    attention: true,
    from: "2026-02-28",
  });
  expect(
    allFilters({
      state: "lost",
      kind: 1,
      currency: "usd",
      account: "me",
      least: -1,
      most: 1.5,
      unmoved: 7,
      attention: 0,
    }),
  ).toEqual({});
});

it("asks by the API's names", () => {
  expect(asQuery({ account, least: 100, most: 200, unmoved: "60", attention: true })).toMatchObject({
    account_id: account,
    min_amount: 100,
    max_amount: 200,
    older_than_seconds: 60,
    needs_attention: true,
    state: undefined,
  });
});
