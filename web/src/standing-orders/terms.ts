// A standing order as it is typed, as the API takes it, and in a sentence. Pure.

import type { Schemas } from "../api/client";
import { type Currency, decimalText, readAmount } from "../money/money";
import { readPayee } from "../transfer/payee";

export type StandingOrder = Schemas["StandingOrderOut"];
export type Recurrence = Schemas["RecurrenceOut"];
export type Frequency = Schemas["Frequency"];

export const FREQUENCIES: Record<Frequency, string> = {
  once: "Once",
  daily: "Daily",
  weekly: "Weekly",
  monthly: "Monthly",
  yearly: "Yearly",
};

export const HOLIDAYS: Record<Schemas["HolidayRule"], string> = {
  on_the_day: "On the day all the same",
  before: "On the business day before",
  after: "On the business day after",
};

export const OUTAGES: Record<Schemas["OutageRule"], string> = {
  pay_each: "Pay each of them, late",
  pay_latest: "Pay the last one only",
  miss: "Pay none of them",
};

/** The form, as it was typed. `ends` says which of `endDate` and `count` counts. */
export type TypedOrder = {
  source: string;
  payee: string;
  pays: "amount" | "above";
  amount: string;
  note: string;
  frequency: Frequency;
  every: string;
  firstDate: string;
  lastDay: boolean;
  ends: "never" | "on" | "after";
  endDate: string;
  count: string;
  zone: string;
  holidays: Schemas["HolidayRule"];
  afterOutage: Schemas["OutageRule"];
  retryDays: string;
};

export const BLANK_ORDER: TypedOrder = {
  source: "",
  payee: "",
  pays: "amount",
  amount: "",
  note: "",
  frequency: "monthly",
  every: "1",
  firstDate: "",
  lastDay: false,
  ends: "never",
  endDate: "",
  count: "12",
  zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  holidays: "on_the_day",
  afterOutage: "pay_each",
  retryDays: "2",
};

/** An order as its form would hold it. */
export function typedOf(order: StandingOrder, currency: Currency): TypedOrder {
  const { recurrence } = order;
  return {
    source: order.source_account_id,
    payee: order.destination_account_id,
    pays: order.amount === null ? "above" : "amount",
    amount: decimalText(order.amount ?? order.above ?? 0, currency.digits),
    note: order.note ?? "",
    frequency: recurrence.frequency,
    every: String(recurrence.every),
    firstDate: recurrence.first_date,
    lastDay: recurrence.last_day,
    ends: recurrence.end_date !== null ? "on" : recurrence.count !== null ? "after" : "never",
    endDate: recurrence.end_date ?? "",
    count: String(recurrence.count ?? 12),
    zone: order.time_zone,
    holidays: order.holidays,
    afterOutage: order.after_outage,
    retryDays: String(order.retry_days),
  };
}

export type Objections = Partial<Record<keyof TypedOrder, string>>;

/** What the API takes, or what is wrong with the form. Amounts are in the minor unit. */
export function readTerms(
  typed: TypedOrder,
  currency: Currency,
): { body: Schemas["StandingOrderIn"] } | { objections: Objections } {
  const payee = readPayee(typed.payee);
  const every = whole(typed.every, 1, 1_000);
  const count = whole(typed.count, 1, 100_000);
  const retryDays = whole(typed.retryDays, 0, 14);
  // To keep nothing back is an answer, too: "whatever is above zero".
  const isZero = typed.pays === "above" && /^0+([.,]0*)?$/.test(typed.amount.trim());
  const amount = isZero ? { minor: 0 } : readAmount(typed.amount, currency);
  const objections: Objections = {
    ...(payee === null && { payee: "This is no account number: RM and 14 digits" }),
    ...("objection" in amount && { amount: amount.objection }),
    ...(typed.firstDate === "" && { firstDate: "Choose the first date" }),
    ...(every === null && { every: "Type a number from 1 to 1,000" }),
    ...(typed.ends === "on" && typed.endDate === "" && { endDate: "Choose the last date" }),
    ...(typed.ends === "after" && count === null && { count: "Type a number from 1 to 100,000" }),
    ...(retryDays === null && { retryDays: "Type a number from 0 to 14" }),
  };
  if (payee === null || every === null || retryDays === null || "objection" in amount) return { objections };
  if (Object.keys(objections).length > 0) return { objections };
  const isOnce = typed.frequency === "once";
  return {
    body: {
      source_account_id: typed.source,
      destination_account_id: payee,
      currency: currency.code,
      ...(typed.pays === "amount" ? { amount: amount.minor } : { above: amount.minor }),
      note: typed.note.trim() || null,
      recurrence: {
        frequency: typed.frequency,
        first_date: typed.firstDate,
        every: isOnce ? 1 : every,
        last_day: typed.frequency === "monthly" && typed.lastDay,
        end_date: !isOnce && typed.ends === "on" ? typed.endDate : null,
        count: !isOnce && typed.ends === "after" ? count : null,
      },
      time_zone: typed.zone || null,
      holidays: typed.holidays,
      after_outage: typed.afterOutage,
      retry_days: retryDays,
    },
  };
}

/** Of a change: what differs from the order as it is. The dates are sent whole, or not at all. */
export function changesOf(
  before: Schemas["StandingOrderIn"],
  after: Schemas["StandingOrderIn"],
): Schemas["StandingOrderChangeIn"] {
  const names = [
    "destination_account_id",
    "amount",
    "above",
    "note",
    "recurrence",
    "time_zone",
    "holidays",
    "after_outage",
    "retry_days",
  ] as const;
  return Object.fromEntries(
    names.flatMap((name) =>
      after[name] !== undefined && JSON.stringify(before[name]) !== JSON.stringify(after[name])
        ? [[name, after[name]]]
        : [],
    ),
  );
}

const UNITS: Record<Exclude<Frequency, "once">, string> = {
  daily: "day",
  weekly: "week",
  monthly: "month",
  yearly: "year",
};

/** When it pays, as people say it: "Every month, on the last day, 12 times". */
export function recurrenceText({ frequency, every, last_day, end_date, count }: Recurrence): string {
  if (frequency === "once") return "Once";
  const unit = UNITS[frequency];
  const often = every === 1 ? `Every ${unit}` : `Every ${every} ${unit}s`;
  const day = last_day ? ", on the last day" : "";
  const end = end_date !== null ? `, until ${dayText(end_date)}` : count !== null ? `, ${count} times` : "";
  return often + day + end;
}

/** A calendar's day, which is the same one wherever it is read. */
export function dayText(day: string): string {
  return new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" }).format(
    new Date(`${day}T00:00:00Z`),
  );
}

function whole(text: string, least: number, most: number): number | null {
  const number = /^\d{1,6}$/.test(text.trim()) ? Number(text) : Number.NaN;
  return number >= least && number <= most ? number : null;
}
