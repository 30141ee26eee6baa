// The filters of the list of cases, as they stand in its address.

import type { Schemas } from "../../api/client";
import { isIdOf, isOneOf, kept } from "../search";

export const CASES: Record<Schemas["CaseState"], string> = { open: "Open", closed: "Closed" };

export type CaseFilters = Partial<{ state: Schemas["CaseState"]; account: string }>;

export const caseFilters = ({ state, account }: Record<string, unknown>): CaseFilters =>
  kept({ state: isOneOf(CASES, state) ? state : undefined, account: isIdOf("acc", account) ? account : undefined });
