// Periods side by side, for charts: whole hours of the clock, so that a page that is opened again asks for the same.

export type Span = { from: string; to: string; label: string };

export const PERIODS = { day: "24 hours", week: "7 days", month: "28 days" } as const;

export type PeriodName = keyof typeof PERIODS;

const HOUR_MS = 3_600_000;

// How many columns, and how many hours each. Every column is a request.
const COLUMNS: Record<PeriodName, [number, number]> = { day: [8, 3], week: [7, 24], month: [7, 96] };

/** The spans of a period until the end of the hour that it is, oldest first. */
export function spans(period: PeriodName, now: Date, locale?: string): Span[] {
  const [count, hours] = COLUMNS[period];
  const end = Math.ceil(now.getTime() / HOUR_MS) * HOUR_MS;
  const label = new Intl.DateTimeFormat(
    locale,
    period === "day" ? { hour: "2-digit", minute: "2-digit" } : { day: "numeric", month: "short" },
  );
  return Array.from({ length: count }, (_, column) => {
    const from = new Date(end - (count - column) * hours * HOUR_MS);
    const to = new Date(from.getTime() + hours * HOUR_MS);
    return { from: from.toISOString(), to: to.toISOString(), label: label.format(from) };
  });
}

/** A round number at or above the largest value, for the top of an axis. */
export function roundUp(value: number): number {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 5, 10].find((each) => each * power >= value) ?? 10;
  return step * power;
}
