import { expect, it } from "vitest";
import { isStaff, may } from "./permissions";

it("offers operators what both roles may do, and admins everything", () => {
  expect(may("operator", "decide_review")).toBe(true);
  expect(may("operator", "give_back")).toBe(true);
  expect(may("operator", "run_audit")).toBe(false);
  expect(may("admin", "run_audit")).toBe(true);
});

it("offers customers nothing", () => {
  expect(may("customer", "freeze_account")).toBe(false);
  expect(may(undefined, "freeze_account")).toBe(false);
  expect([isStaff("customer"), isStaff(undefined), isStaff("operator"), isStaff("admin")]).toEqual([
    false,
    false,
    true,
    true,
  ]);
});
