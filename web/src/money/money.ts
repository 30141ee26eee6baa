// Money as people type and read it. Amounts are integers in the currency's minor unit; no floating point touches them.

export type Currency = { code: string; digits: number; symbol?: string | null };

export type Amount = { minor: number } | { objection: string };

// What every JSON reader keeps exactly, and the largest amount of the API.
const LARGEST = 9_007_199_254_740_991n;

/** The decimal text of an amount, without grouping: 123456 with two digits is "1234.56". */
export function decimalText(minor: number, digits: number): string {
  const sign = minor < 0 ? "-" : "";
  const text = Math.abs(minor)
    .toString()
    .padStart(digits + 1, "0");
  if (digits === 0) return sign + text;
  return `${sign}${text.slice(0, -digits)}.${text.slice(-digits)}`;
}

/** For people, in their language: "₹1,234.56". The digits come from the API, not from the browser. */
export function moneyText(minor: number, currency: Currency, locale?: string): string {
  const format = new Intl.NumberFormat(locale, {
    style: "currency",
    currency: currency.code,
    currencyDisplay: "narrowSymbol",
    minimumFractionDigits: currency.digits,
    maximumFractionDigits: currency.digits,
  });
  // A decimal as text is formatted exactly, however long it is.
  return format.format(decimalText(minor, currency.digits) as Intl.StringNumericLiteral);
}

/**
 * What somebody typed, as an amount: "1234.5", "1,234.50", "1.234,50", "1 234,50", "12,34,567", "₹ 500", "500 inr".
 *
 * What could mean two amounts is refused, with both ways to write it.
 */
export function readAmount(typed: string, currency: Currency): Amount {
  const text = withoutCurrency(typed.normalize("NFKC").trim(), currency);
  if (text === "") return { objection: "Type an amount" };
  if (text.startsWith("-")) return { objection: "Type an amount above zero" };
  if (!/^[\d.,' ’]+$/.test(text) || !/\d/.test(text))
    return { objection: "Type an amount in digits, such as 1,234.50" };
  const parts = split(text, currency);
  if ("objection" in parts) return parts;
  const { whole, fraction } = parts;
  const minor = BigInt(whole || "0") * 10n ** BigInt(currency.digits) + BigInt(fraction.padEnd(currency.digits, "0"));
  if (minor === 0n) return { objection: "Type an amount above zero" };
  if (minor > LARGEST) return { objection: "This is more than any transfer can move" };
  return { minor: Number(minor) };
}

function split(text: string, currency: Currency): { whole: string; fraction: string } | { objection: string } {
  const marks = text.replace(/\d/g, "");
  const last = marks.at(-1);
  if (last === undefined) return { whole: text, fraction: "" };
  const others = marks.slice(0, -1);
  const place = text.lastIndexOf(last);
  const [before, after] = [text.slice(0, place), text.slice(place + 1)];
  const mayBePoint = (last === "." || last === ",") && !others.includes(last);
  if (!mayBePoint) return grouped(text, "");
  if (others === "" && after.length === 3 && /^[1-9]\d{0,2}$/.test(before)) {
    // "1,234" is a thousand and more, or one and a bit where a currency has three digits.
    if (currency.digits === 3 ? last === "," : last === ".") return { objection: twoWays(before, after, currency) };
    if (last === ",") return grouped(text, "");
  }
  if (after.length > currency.digits) {
    if (others === "" && after.length === 3 && last === ",") return grouped(text, "");
    return { objection: tooManyDigits(currency) };
  }
  return grouped(before, after);
}

/** The digits before the point, if their groups are such as people write: by three, or as in India 12,34,567. */
function grouped(text: string, fraction: string): { whole: string; fraction: string } | { objection: string } {
  const marks = new Set(text.replace(/\d/g, ""));
  if (marks.size === 0) return { whole: text, fraction };
  const groups = text.split(/[^\d]/);
  const [first, ...rest] = groups as [string, ...string[]];
  const lengths = rest.map((group) => group.length);
  const inner = new Set(lengths.slice(0, -1));
  const isRight =
    marks.size === 1 &&
    /^[1-9]\d{0,2}$/.test(first) &&
    lengths.at(-1) === 3 &&
    (inner.size === 0 || (inner.size === 1 && (inner.has(3) || inner.has(2))));
  if (!isRight) return { objection: "Type the amount without spaces and commas between the digits" };
  return { whole: groups.join(""), fraction };
}

function twoWays(before: string, after: string, currency: Currency): string {
  const small = currency.digits === 3 ? `${before}.${after}` : `${before}.${after.slice(0, currency.digits)}`;
  const large = `${before}${after}`;
  return currency.digits === 0 ? `Write ${large} without the point` : `Write ${large} or ${small}: this could be both`;
}

function tooManyDigits({ code, digits }: Currency): string {
  if (digits === 0) return `${code} has no digits after the point`;
  return `${code} has ${digits} digits after the point`;
}

function withoutCurrency(text: string, { code, symbol }: Currency): string {
  const names = [code, symbol, code === "INR" ? "Rs." : null, code === "INR" ? "Rs" : null];
  for (const name of names) {
    if (!name) continue;
    const lower = text.toLowerCase();
    if (lower.startsWith(name.toLowerCase())) return text.slice(name.length).trim();
    if (lower.endsWith(name.toLowerCase())) return text.slice(0, -name.length).trim();
  }
  return text;
}
