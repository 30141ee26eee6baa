// The filters of the list of dead letters, as they stand in its address.

import type { Schemas } from "../../api/client";
import { isOneOf, kept } from "../search";

export const LETTERS: Record<Schemas["LetterState"], string> = {
  dead: "Not delivered",
  replayed: "Sent again",
  discarded: "Given up",
};

export type LetterFilters = Partial<{ state: Schemas["LetterState"]; source: string; target: string }>;

const asName = (value: unknown) => (typeof value === "string" && value.length <= 300 ? value : undefined);

export const letterFilters = ({ state, source, target }: Record<string, unknown>): LetterFilters =>
  kept({ state: isOneOf(LETTERS, state) ? state : undefined, source: asName(source), target: asName(target) });
