import { Alert, Button, NativeSelect, Stack, Text, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { type Account, grouped, useCurrency } from "../accounts/queries";
import { fieldErrors, Problem, textOf } from "../api/problem";
import type { Customer } from "../customers/queries";
import { VerificationState } from "../customers/VerificationState";
import { type Currency, moneyText, readAmount } from "../money/money";
import { FormProblem } from "../ui/FormProblem";
import { Nothing } from "../ui/Shown";
import type { Intent, Typed } from "./intent";
import { payeeQuery, readPayee } from "./payee";
import { pay, type } from "./payment";

type TransferFormProps = { intent: Intent; accounts: Account[]; me: Customer; refusal: unknown };

const MOST_NOTE = 140;

export function TransferForm({ intent, accounts, me, refusal }: TransferFormProps) {
  const { typed } = intent;
  const open = accounts.filter(({ status }) => status !== "closed");
  const source = open.find(({ id }) => id === typed.source) ?? open[0];
  const currency = useCurrency(source?.currency);
  const [isChecked, setChecked] = useState(false);
  const payeeId = readPayee(typed.payee);
  const payee = useQuery(payeeQuery(payeeId));
  const change = (changed: Partial<Typed>) => type({ ...typed, source: source?.id ?? "", ...changed });
  if (source === undefined) return <Nothing says="You have no open account to send money from." />;
  const isBlocked = me.verification?.state !== "verified" || isFrozen(source);
  const amount = currency && readAmount(typed.amount, currency);
  const errors = {
    ...(isChecked && objections(typed, payeeId, amount)),
    ...(payee.error instanceof Problem && payee.error.status === 404 && { payee: "No open account has this number" }),
    ...(payee.data && payee.data.currency !== source.currency && { payee: otherCurrency(payee.data.currency, source) }),
    ...named(refusal),
  };
  function submit(event: FormEvent) {
    event.preventDefault();
    setChecked(true);
    if (isBlocked || source === undefined || currency === undefined || !amount || !("minor" in amount)) return;
    if (payeeId === null || errors.payee === "No open account has this number") return;
    pay({
      source_account_id: source.id,
      destination_account_id: payeeId,
      amount: amount.minor,
      currency: currency.code,
      note: typed.note.trim() || null,
    });
  }
  return (
    <form onSubmit={submit} noValidate aria-label="Transfer">
      <Stack>
        <VerificationState me={me} />
        {isFrozen(source) && <Frozen account={source} />}
        {open.length > 1 && (
          <NativeSelect
            label="From"
            disabled={me.verification?.state !== "verified"}
            data={open.map(({ id, name, currency: code, number }) => ({
              value: id,
              label: `${name ?? code} · ${grouped(number)}`,
            }))}
            value={source.id}
            onChange={(event) => change({ source: event.currentTarget.value })}
          />
        )}
        <TextInput
          label="To"
          description="The number of the account, such as RM04 4040 4040 4040."
          placeholder="RM"
          autoComplete="off"
          required
          disabled={isBlocked}
          value={typed.payee}
          onChange={(event) => change({ payee: event.currentTarget.value })}
          error={errors.payee}
        />
        <div aria-live="polite">
          {payee.data && !errors.payee && (
            <Text size="sm">
              This account belongs to <strong>{payee.data.masked_name}</strong>.
            </Text>
          )}
        </div>
        <TextInput
          label="Amount"
          description={currency && `You have ${moneyText(source.available, currency)}.`}
          placeholder="1,234.50"
          inputMode="decimal"
          autoComplete="off"
          required
          leftSection={<Text size="sm">{currency?.symbol ?? source.currency}</Text>}
          leftSectionWidth={currency?.symbol ? 36 : 52}
          disabled={isBlocked}
          value={typed.amount}
          onChange={(event) => change({ amount: event.currentTarget.value })}
          error={errors.amount}
        />
        <TextInput
          label="Note"
          description="Both of you read it."
          maxLength={MOST_NOTE}
          disabled={isBlocked}
          value={typed.note}
          onChange={(event) => change({ note: event.currentTarget.value })}
          error={errors.note}
        />
        {currency && amount && "minor" in amount && amount.minor > source.available && (
          <Alert color="yellow">
            This is more than the {moneyText(source.available, currency)} that you have. It is refused, unless money
            comes in before.
          </Alert>
        )}
        {Object.keys(named(refusal)).length === 0 && <Refusal refusal={refusal} />}
        <Button type="submit" disabled={isBlocked || currency === undefined}>
          {label(amount, currency)}
        </Button>
      </Stack>
    </form>
  );
}

function label(amount: ReturnType<typeof readAmount> | undefined, currency: Currency | undefined): string {
  return amount && currency && "minor" in amount ? `Send ${moneyText(amount.minor, currency)}` : "Send";
}

function objections(typed: Typed, payeeId: string | null, amount: ReturnType<typeof readAmount> | undefined) {
  const payee =
    typed.payee.trim() === "" ? "Type the number of an account" : "This is no account number: RM and 14 digits";
  return {
    ...(payeeId === null && { payee }),
    ...(amount && "objection" in amount && { amount: amount.objection }),
  } as { payee?: string; amount?: string };
}

/** What was refused, at the input that it is about. */
function named(refusal: unknown): { payee?: string; amount?: string; note?: string } {
  if (refusal instanceof Problem && (refusal.code === "payee_not_found" || refusal.code === "same_account"))
    return { payee: textOf(refusal) };
  const { destination_account_id, ...others } = fieldErrors(refusal, ["destination_account_id", "amount", "note"]);
  return { ...others, ...(destination_account_id && { payee: destination_account_id }) };
}

function Refusal({ refusal }: { refusal: unknown }) {
  if (refusal instanceof Problem && refusal.status === 401)
    return <Alert color="yellow">You were signed out, so nothing was sent. Look at it once more and send it.</Alert>;
  return <FormProblem error={refusal} />;
}

const isFrozen = (account: Account) => account.status === "frozen" && account.frozen !== "credits";

function otherCurrency(code: string, source: Account): string {
  return `This account holds ${code}, and yours holds ${source.currency}`;
}

function Frozen({ account }: { account: Account }) {
  return (
    <Alert color="red" title="This account is frozen" role="status">
      No money can leave it. Ask the support of this service why, and give them its number: {account.number}.
      {account.frozen === "debits" && " Money can still come in."}
    </Alert>
  );
}
