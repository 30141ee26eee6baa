import { describe, expect, it, vi } from "vitest";

vi.stubGlobal("location", { origin: "http://remit.test" });
const { NoAnswer, Problem } = await import("./problem");
const { ruleOn } = await import("./ruling");

const problem = (status: number) => new Problem("some_code", status, "No.");

describe("an error of a request that is made once", () => {
  it.each([new NoAnswer(), problem(500), problem(503), problem(408), new Error("?")])(
    "says nothing about what was asked for: %s",
    (error) => {
      expect([ruleOn(error, false), ruleOn(error, true)]).toEqual(["unknown", "unknown"]);
    },
  );

  it.each([400, 403, 404, 409, 413, 422])("refuses it: %i", (status) => {
    expect(ruleOn(problem(status), false)).toBe("refused");
  });

  it("tells nothing behind a lost answer, where it comes before the key is looked at", () => {
    expect([ruleOn(problem(429), false), ruleOn(problem(429), true)]).toEqual(["refused", "unknown"]);
    expect([ruleOn(problem(401), false), ruleOn(problem(401), true)]).toEqual(["refused", "stopped"]);
  });
});
