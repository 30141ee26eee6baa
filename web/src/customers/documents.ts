import type { Schemas } from "../api/client";

export type DocumentType = Schemas["DocumentType"];

/** The identity documents that are taken, by the names on them. */
export const DOCUMENT_TYPES: { value: DocumentType; label: string }[] = [
  { value: "NIN", label: "National identification number (NIN)" },
  { value: "BVN", label: "Bank verification number (BVN)" },
  { value: "ID_CARD", label: "Identity card" },
];
