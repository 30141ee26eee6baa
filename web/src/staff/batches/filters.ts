import type { Schemas } from "../../api/client";
import { STATES } from "../../batches/queries";
import { isOneOf, kept } from "../search";

export type BatchFilters = { state?: Schemas["BatchState"] };

export const batchFilters = ({ state }: Record<string, unknown>): BatchFilters =>
  kept({ state: isOneOf(STATES, state) ? state : undefined });
