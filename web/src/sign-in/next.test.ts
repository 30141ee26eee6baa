import { expect, it } from "vitest";
import { safeNext } from "./next";

it("leads back to a page of ours, with its filters", () => {
  expect(safeNext("/transactions?state=failed")).toEqual({ next: "/transactions?state=failed" });
});

it.each([
  "https://evil.test",
  "//evil.test",
  "/\\evil.test",
  "javascript:alert(1)",
  "/login?next=/x",
  "",
  7,
  undefined,
])("leads nowhere for %j", (next) => {
  expect(safeNext(next)).toEqual({});
});
