// Filters as they stand in an address. What does not fit is left out, because people edit addresses.

import { isDay, midnight } from "../transactions/filters";

export function isIdOf(kind: string, value: unknown): value is string {
  return typeof value === "string" && new RegExp(`^${kind}_[a-z0-9]{4,36}$`).test(value);
}

export function isOneOf<Name extends string>(names: Record<Name, unknown>, value: unknown): value is Name {
  return typeof value === "string" && Object.hasOwn(names, value);
}

/** What of an address is a filter, without what is not there. */
export function kept<Filters extends object>(found: Filters): Partial<Filters> {
  return Object.fromEntries(
    Object.entries(found).filter(([, value]) => value !== undefined && value !== null && value !== ""),
  ) as Partial<Filters>;
}

export type Days = { from?: string; to?: string };

export const days = ({ from, to }: Record<string, unknown>): Days => ({
  from: isDay(from) ? from : undefined,
  to: isDay(to) ? to : undefined,
});

/** Days as the API asks for them: the last one is in the list, until its midnight where the viewer is. */
export const asSpan = ({ from, to }: Days) => ({
  created_after: from && midnight(from, 0),
  created_before: to && midnight(to, 1),
});

export const asOptions = (names: Record<string, string>) =>
  Object.entries(names).map(([value, label]) => ({ value, label }));
