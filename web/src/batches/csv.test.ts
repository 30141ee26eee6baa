import { expect, it } from "vitest";
import { csvOf, objectionsTo, previewOf } from "./csv";

const USD = { code: "USD", digits: 2 };
const BEN = `acc_${"b".repeat(26)}`;
const ROW = { reference: "salary-1", payee: BEN, amount: "1,250.50", note: 'Salary, "November"' };

it("writes rows as the API reads them, with amounts in the minor unit", () => {
  const csv = csvOf([ROW], "acc_me", USD);
  expect(csv.split("\n")).toEqual([
    "reference,source_account_id,destination_account_id,amount,currency,note",
    `salary-1,acc_me,${BEN},125050,USD,"Salary, ""November"""`,
  ]);
  expect(previewOf(csv)).toMatchObject({ sums: [["USD", 125050]], unreadable: 0 });
});

it("adds a file up for each currency, and counts what has no amount", () => {
  const csv = "\uFEFFreference,amount,currency\r\na,100,USD\r\nb,250,USD\r\nc,12.50,USD\r\nd,7,JPY\r\n";
  expect(previewOf(csv)).toMatchObject({
    sums: [
      ["JPY", 7],
      ["USD", 350],
    ],
    unreadable: 1,
  });
});

it("names the inputs of a row that are wrong", () => {
  expect(objectionsTo(ROW, USD)).toEqual({});
  expect(objectionsTo({ ...ROW, payee: " rm04 4040 4040 4040 " }, USD)).toEqual({});
  expect(Object.keys(objectionsTo({ ...ROW, payee: "RM04 4040" }, USD))).toEqual(["payee"]);
  expect(Object.keys(objectionsTo({ reference: " ", payee: "Ben", amount: "0", note: "" }, USD))).toEqual([
    "reference",
    "payee",
    "amount",
  ]);
});
