// What rules saw, in words: `sent_withdrawal_within_60_seconds: {count: 3, sum: 120000}` and the like.

/** One line for each fact. Amounts stay in the minor unit, as the rules counted them. */
export function factTexts(facts: Record<string, unknown>): string[] {
  return Object.entries(facts).map(([name, value]) => `${name.replaceAll("_", " ")}: ${said(value)}`);
}

function said(value: unknown): string {
  if (value === true) return "yes";
  if (value === false) return "no";
  if (value === null) return "none";
  if (typeof value !== "object") return String(value);
  return Object.entries(value as Record<string, unknown>)
    .map(([name, each]) => `${name} ${said(each)}`)
    .join(", ");
}
