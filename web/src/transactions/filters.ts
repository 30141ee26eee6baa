// The filters of the list as they stand in its address. What does not fit is left out, because people edit addresses.

import type { Schemas } from "../api/client";

export type State = Schemas["State"];
export type Kind = Schemas["Kind"];

export type TransferFilters = {
  account?: string;
  state?: State;
  kind?: Kind;
  from?: string;
  to?: string;
};

export const STATES: Record<State, string> = {
  initiated: "On its way",
  in_review: "In review",
  debited: "On its way, debited",
  completed: "Completed",
  compensated: "Returned",
  failed: "Failed",
  cancelled: "Cancelled",
};

export const KINDS: Record<Kind, string> = {
  transfer: "Transfer",
  deposit: "Deposit",
  withdrawal: "Withdrawal",
  reversal: "Reversal",
  funding: "Funding",
};

const DAY = /^\d{4}-\d{2}-\d{2}$/;

export function transferFilters(search: Record<string, unknown>): TransferFilters {
  const { account, state, kind, from, to } = search;
  return {
    ...(typeof account === "string" && /^acc_[a-z2-7]{26}$/.test(account) && { account }),
    ...(typeof state === "string" && Object.hasOwn(STATES, state) && { state: state as State }),
    ...(typeof kind === "string" && Object.hasOwn(KINDS, kind) && { kind: kind as Kind }),
    ...(isDay(from) && { from }),
    ...(isDay(to) && { to }),
  };
}

/** As the API asks for it. A day begins and ends at midnight where the viewer is; `to` is the last day of the list. */
export function asQuery({ account, state, kind, from, to }: TransferFilters) {
  return {
    account_id: account,
    state,
    kind,
    created_after: from && midnight(from, 0),
    created_before: to && midnight(to, 1),
  };
}

export function isDay(text: unknown): text is string {
  return typeof text === "string" && DAY.test(text) && !Number.isNaN(Date.parse(text));
}

export function midnight(day: string, later: number): string {
  const [year, month, date] = day.split("-").map(Number) as [number, number, number];
  return new Date(year, month - 1, date + later).toISOString();
}
