import { expect, it, vi } from "vitest";

vi.stubGlobal("location", { origin: "http://remit.test" });
const { readPayee } = await import("./payee");

it("takes a payee's number as people write it", () => {
  expect(readPayee(" rm04 4040-4040 4040 ")).toBe("RM04404040404040");
  expect(readPayee(`acc_${"a".repeat(26)}`)).toBe(`acc_${"a".repeat(26)}`);
  for (const wrong of ["", "RM04", "Ben", "RM044040404040400", "acc_1"]) expect(readPayee(wrong)).toBeNull();
});
