import { expect, it } from "vitest";
import { asQuery, transferFilters } from "./filters";

it("keeps what fits and leaves out the rest", () => {
  const account = `acc_${"a".repeat(26)}`;
  expect(transferFilters({ account, state: "failed", kind: "deposit", from: "2026-02-28", to: "2026-03-01" })).toEqual({
    account,
    state: "failed",
    kind: "deposit",
    from: "2026-02-28",
    to: "2026-03-01",
  });
  expect(
    transferFilters({ account: "me", state: "toString", kind: 7, from: "yesterday", to: "2026-13-45", other: "x" }),
  ).toEqual({});
});

it("asks for whole days of the viewer", () => {
  const { created_after, created_before } = asQuery({ from: "2026-02-28", to: "2026-02-28" });
  expect(new Date(created_after ?? "")).toEqual(new Date(2026, 1, 28));
  expect(new Date(created_before ?? "")).toEqual(new Date(2026, 2, 1));
  expect(asQuery({})).toEqual({});
});
