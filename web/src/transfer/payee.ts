import { queryOptions } from "@tanstack/react-query";
import { api } from "../api/client";
import { answerTo } from "../api/problem";

const ID = /^acc_[a-z2-7]{26}$/;
const NUMBER = /^RM\d{14}$/;

/** An account's number or id as it is sent, or null for what can be neither. */
export function readPayee(typed: string): string | null {
  const text = typed.trim();
  if (ID.test(text)) return text;
  const number = text.replace(/[\s-]/g, "").toUpperCase();
  return NUMBER.test(number) ? number : null;
}

/** Whom a number belongs to. Only whole numbers are asked for: a customer may check some in 15 minutes. */
export const payeeQuery = (number: string | null) =>
  queryOptions({
    queryKey: ["payee", number],
    queryFn: () => answerTo(api.GET("/v1/payees/{number}", { params: { path: { number: number ?? "" } } })),
    enabled: number !== null && NUMBER.test(number),
    staleTime: 300_000,
    retry: false,
  });
