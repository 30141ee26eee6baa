import type { Schemas } from "../../api/client";
import { isOneOf, kept } from "../search";

export const STATES: Record<Schemas["TierRequestState"], string> = {
  open: "Open",
  approved: "Approved",
  rejected: "Rejected",
  expired: "Expired",
};

export type TierFilters = { state?: Schemas["TierRequestState"] };

export const tierFilters = ({ state }: Record<string, unknown>): TierFilters =>
  kept({ state: isOneOf(STATES, state) ? state : undefined });
