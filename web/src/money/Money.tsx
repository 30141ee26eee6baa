import { Text, type TextProps } from "@mantine/core";
import { useCurrency } from "../accounts/queries";
import { moneyText } from "./money";

type MoneyProps = { minor: number; code: string; sign?: "in" | "out" } & TextProps;

/** An amount by its currency. `sign`: which way it went, in a sign as well as in words for screen readers. */
export function Money({ minor, code, sign, ...text }: MoneyProps) {
  const currency = useCurrency(code);
  const shown = currency ? moneyText(minor, currency) : "…";
  return (
    <Text span className="money" {...text}>
      {sign === "in" && "+"}
      {sign === "out" && "−"}
      {shown}
    </Text>
  );
}
