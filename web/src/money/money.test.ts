import { describe, expect, it } from "vitest";
import { type Currency, decimalText, moneyText, readAmount } from "./money";

const INR: Currency = { code: "INR", digits: 2, symbol: "₹" };
const JPY: Currency = { code: "JPY", digits: 0, symbol: "¥" };
const KWD: Currency = { code: "KWD", digits: 3, symbol: null };

const minor = (typed: string, currency: Currency = INR) => {
  const read = readAmount(typed, currency);
  return "minor" in read ? read.minor : read.objection;
};

describe("an amount as people type it", () => {
  it.each([
    ["1", 100],
    ["1.5", 150],
    ["1,5", 150],
    ["0.01", 1],
    [".5", 50],
    ["12.", 1200],
    ["1234.56", 123456],
    ["1,234.56", 123456],
    ["1.234,56", 123456],
    ["1 234,56", 123456],
    ["1\u00a0234,56", 123456],
    ["1'234.50", 123450],
    ["1,234", 123400],
    ["12,34,567.80", 123456780],
    ["1,234,567", 123456700],
    ["₹ 500", 50000],
    ["500 inr", 50000],
    ["Rs. 500.25", 50025],
    ["１２.５", 1250],
    ["0.29", 29],
    ["1.15", 115],
    ["90071992547409.91", 9007199254740991],
  ])("%s is %i minor units", (typed, expected) => {
    expect(minor(typed)).toBe(expected);
  });

  it("has as many digits after the point as its currency", () => {
    expect(minor("1,234", JPY)).toBe(1234);
    expect(minor("¥1234", JPY)).toBe(1234);
    expect(minor("1.5", JPY)).toBe("JPY has no digits after the point");
    expect(minor("1.234", KWD)).toBe(1234);
    expect(minor("1.5", KWD)).toBe(1500);
    expect(minor("1,234.567", KWD)).toBe(1234567);
    expect(minor("1.2345", KWD)).toBe("KWD has 3 digits after the point");
    expect(minor("1.999")).toMatch(/could be both/);
    expect(minor("10.9999")).toBe("INR has 2 digits after the point");
  });

  it("that could mean two amounts is refused, with both", () => {
    expect(minor("1,234", KWD)).toBe("Write 1234 or 1.234: this could be both");
    expect(minor("1.234")).toBe("Write 1234 or 1.23: this could be both");
    expect(minor("1.234", JPY)).toBe("Write 1234 without the point");
  });

  it.each([
    "",
    "  ",
    "abc",
    "1e3",
    "0x10",
    "-5",
    "0",
    "0.00",
    "1,23,4",
    "1,2345.00",
    "1.2.3",
    "1,23 456",
    "0,500",
    ",",
    "₹",
  ])("%j is no amount", (typed) => {
    expect(readAmount(typed, INR)).toHaveProperty("objection");
  });

  it("is at most what every JSON reader keeps exactly", () => {
    expect(readAmount("90071992547409.92", INR)).toHaveProperty("objection");
  });

  it("comes back as it was typed, for every amount", () => {
    for (const currency of [INR, JPY, KWD])
      for (let amount = 1; amount < 9_000_000_000_000_000; amount = amount * 3 + 7)
        expect(minor(decimalText(amount, currency.digits), currency)).toBe(amount);
  });
});

describe("an amount for people", () => {
  it("has the digits of its currency", () => {
    expect(decimalText(5, 2)).toBe("0.05");
    expect(decimalText(-123456, 2)).toBe("-1234.56");
    expect(decimalText(7, 0)).toBe("7");
    expect(moneyText(123456789, INR, "en-IN")).toBe("₹12,34,567.89");
    expect(moneyText(1234, JPY, "en-US")).toBe("¥1,234");
    expect(moneyText(9007199254740991, INR, "en-US")).toBe("₹90,071,992,547,409.91");
  });
});
