// The filters of staff's list of transfers, as they stand in its address. Amounts are in the currency's minor unit.

import { KINDS, type Kind, STATES, type State } from "../../transactions/filters";
import { asSpan, type Days, days, isIdOf, isOneOf, kept } from "../search";

export type AllFilters = Partial<
  Days & {
    state: State;
    kind: Kind;
    currency: string;
    account: string;
    owner: string;
    least: number;
    most: number;
    reference: string;
    unmoved: keyof typeof UNMOVED;
    attention: true;
  }
>;

/** For how long a transfer that is not final has not changed. */
export const UNMOVED = { "60": "a minute", "600": "10 minutes", "3600": "an hour", "86400": "a day" };

export function allFilters(search: Record<string, unknown>): AllFilters {
  const { state, kind, currency, account, owner, least, most, reference, unmoved, attention } = search;
  return kept({
    ...days(search),
    state: isOneOf(STATES, state) ? state : undefined,
    kind: isOneOf(KINDS, kind) ? kind : undefined,
    currency: typeof currency === "string" && /^[A-Z]{3}$/.test(currency) ? currency : undefined,
    account: isIdOf("acc", account) ? account : undefined,
    owner: isIdOf("cus", owner) ? owner : undefined,
    least: asMinor(least),
    most: asMinor(most),
    reference: typeof reference === "string" && reference.length <= 100 ? reference : undefined,
    unmoved: isOneOf(UNMOVED, String(unmoved)) ? (String(unmoved) as keyof typeof UNMOVED) : undefined,
    attention: attention === true ? true : undefined,
  });
}

/** As the API asks for them. */
export const asQuery = (filters: AllFilters) => ({
  ...asSpan(filters),
  state: filters.state,
  kind: filters.kind,
  currency: filters.currency,
  account_id: filters.account,
  owner_id: filters.owner,
  min_amount: filters.least,
  max_amount: filters.most,
  transaction_id: filters.reference,
  older_than_seconds: filters.unmoved && Number(filters.unmoved),
  needs_attention: filters.attention,
});

function asMinor(value: unknown): number | undefined {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0 ? value : undefined;
}
