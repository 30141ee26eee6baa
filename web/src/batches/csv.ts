// A batch as people make it: the rows of a form become the CSV that the API takes, and a file is shown before it is sent.

import Papa from "papaparse";
import { type Currency, readAmount } from "../money/money";
import { COLUMNS, type TypedRow } from "./columns";

export type Row = { reference: string; source: string; destination: string; amount: string; currency: string };

/** What a file would move: rows, and the sum of each currency in its minor unit. */
export type Preview = { rows: Row[]; sums: [currency: string, minor: number][]; unreadable: number };

/** The file as the API will read it. It is shown, and the API decides what is wrong with it. */
export function previewOf(csv: string): Preview {
  const { data } = Papa.parse<Record<string, string>>(csv.replace(/^\uFEFF/, ""), {
    header: true,
    skipEmptyLines: true,
  });
  const rows = data.map((row) => ({
    reference: row.reference ?? "",
    source: row.source_account_id ?? "",
    destination: row.destination_account_id ?? "",
    amount: row.amount ?? "",
    currency: row.currency ?? "",
  }));
  const sums = new Map<string, number>();
  let unreadable = 0;
  for (const { amount, currency } of rows) {
    if (/^\d{1,15}$/.test(amount) && currency !== "") sums.set(currency, (sums.get(currency) ?? 0) + Number(amount));
    else unreadable += 1;
  }
  return { rows, sums: [...sums].sort(), unreadable };
}

// The API reads a number in any spelling, and knows whether a digit is wrong.
const PAYEE = /^(acc_[a-z2-7]{26}|[Rr][Mm]\d{14})$/;

export type RowObjections = Partial<Record<keyof TypedRow, string>>;

/** What is wrong with a row, by its inputs. */
export function objectionsTo(row: TypedRow, currency: Currency): RowObjections {
  const amount = readAmount(row.amount, currency);
  return {
    ...(row.reference.trim() === "" && { reference: "Name it, each by another name" }),
    ...(!PAYEE.test(row.payee.replace(/\s/g, "")) && { payee: "Type an account's number: RM, then 14 digits" }),
    ...("objection" in amount && { amount: amount.objection }),
  };
}

/** The rows of a form as the CSV that the API takes. Only of rows without objections. */
export function csvOf(rows: readonly TypedRow[], sourceId: string, currency: Currency): string {
  const lines = rows.map((row) => {
    const amount = readAmount(row.amount, currency);
    if ("objection" in amount) throw new Error(amount.objection);
    return [row.reference.trim(), sourceId, row.payee.trim(), String(amount.minor), currency.code, row.note.trim()];
  });
  return Papa.unparse([COLUMNS, ...lines], { newline: "\n" });
}
