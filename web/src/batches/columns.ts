// The columns of a batch's file, and a row as it is typed.

export const COLUMNS = ["reference", "source_account_id", "destination_account_id", "amount", "currency", "note"];

/** The amount is as people write it; a file has it in the minor unit. */
export type TypedRow = { reference: string; payee: string; amount: string; note: string };
