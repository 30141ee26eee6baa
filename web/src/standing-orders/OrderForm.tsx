import {
  Button,
  Checkbox,
  Collapse,
  Group,
  NativeSelect,
  SegmentedControl,
  SimpleGrid,
  Stack,
  Text,
  TextInput,
} from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { type Account, grouped, useCurrency } from "../accounts/queries";
import type { Schemas } from "../api/client";
import { fieldErrors, Problem, textOf } from "../api/problem";
import { asOptions } from "../staff/search";
import { payeeQuery, readPayee } from "../transfer/payee";
import { FormProblem } from "../ui/FormProblem";
import { FREQUENCIES, HOLIDAYS, type Objections, OUTAGES, readTerms, type TypedOrder } from "./terms";

type OrderFormProps = {
  typed: TypedOrder;
  type: (typed: TypedOrder) => void;
  accounts: Account[];
  /** Of an order that exists: its source does not change. */
  isNew: boolean;
  refusal: unknown;
  isBusy: boolean;
  label: string;
  submit: (body: Schemas["StandingOrderIn"]) => void;
};

/** The terms of a standing order: how much, to whom, and when. */
export function OrderForm({ typed, type, accounts, isNew, refusal, isBusy, label, submit }: OrderFormProps) {
  const [isChecked, setChecked] = useState(false);
  const [showsMore, { toggle }] = useDisclosure();
  const source = accounts.find(({ id }) => id === typed.source) ?? accounts[0];
  const currency = useCurrency(source?.currency);
  const payeeId = readPayee(typed.payee);
  const payee = useQuery(payeeQuery(payeeId));
  const read = currency && readTerms({ ...typed, source: source?.id ?? "" }, currency);
  const errors: Objections = {
    ...(isChecked && read && "objections" in read && read.objections),
    ...named(refusal),
  };
  const set = (changed: Partial<TypedOrder>) => type({ ...typed, source: source?.id ?? "", ...changed });
  const text = (name: keyof TypedOrder) => ({
    value: String(typed[name]),
    onChange: (event: { currentTarget: { value: string } }) => set({ [name]: event.currentTarget.value }),
    error: errors[name],
    disabled: isBusy,
  });
  function send(event: FormEvent) {
    event.preventDefault();
    setChecked(true);
    if (read && "body" in read) submit(read.body);
  }
  const isOnce = typed.frequency === "once";
  return (
    <form onSubmit={send} noValidate aria-label="Standing order">
      <Stack>
        {isNew && accounts.length > 1 && (
          <NativeSelect
            label="From"
            data={accounts.map(({ id, name, currency: code, number }) => ({
              value: id,
              label: `${name ?? code} · ${grouped(number)}`,
            }))}
            {...text("source")}
          />
        )}
        <TextInput
          label="To"
          description="The number of the account, such as RM04 4040 4040 4040."
          placeholder="RM"
          autoComplete="off"
          required
          {...text("payee")}
        />
        {payee.data && (
          <Text size="sm" role="status">
            This account belongs to <strong>{payee.data.masked_name}</strong>.
          </Text>
        )}
        <SegmentedControl
          aria-label="How much"
          data={[
            { value: "amount", label: "A fixed amount" },
            { value: "above", label: "What is above" },
          ]}
          value={typed.pays}
          onChange={(pays) => set({ pays: pays as TypedOrder["pays"] })}
          disabled={isBusy}
        />
        <TextInput
          label={typed.pays === "amount" ? "Amount" : "Leave in the account"}
          description={typed.pays === "above" ? "Everything above it is paid, at each date." : undefined}
          placeholder="1,234.50"
          inputMode="decimal"
          autoComplete="off"
          required
          leftSection={<Text size="sm">{currency?.symbol ?? source?.currency}</Text>}
          leftSectionWidth={currency?.symbol ? 36 : 52}
          {...text("amount")}
        />
        <TextInput label="Note" description="Both of you read it." maxLength={140} {...text("note")} />
        <SimpleGrid cols={{ base: 1, xs: 2 }}>
          <NativeSelect label="How often" data={asOptions(FREQUENCIES)} {...text("frequency")} />
          <TextInput label={isOnce ? "Date" : "First date"} type="date" required {...text("firstDate")} />
          {!isOnce && (
            <TextInput
              label="Every"
              description="2: every second one"
              inputMode="numeric"
              autoComplete="off"
              {...text("every")}
            />
          )}
          {!isOnce && (
            <NativeSelect
              label="Ends"
              description="Or when you cancel it"
              data={[
                { value: "never", label: "Never" },
                { value: "on", label: "At a date" },
                { value: "after", label: "After a number of dates" },
              ]}
              {...text("ends")}
            />
          )}
          {!isOnce && typed.ends === "on" && <TextInput label="Last date" type="date" {...text("endDate")} />}
          {!isOnce && typed.ends === "after" && (
            <TextInput label="How many dates" inputMode="numeric" autoComplete="off" {...text("count")} />
          )}
        </SimpleGrid>
        {typed.frequency === "monthly" && (
          <Checkbox
            label="On the last day of each month"
            checked={typed.lastDay}
            disabled={isBusy}
            onChange={(event) => set({ lastDay: event.currentTarget.checked })}
          />
        )}
        <Group>
          <Button variant="subtle" size="xs" onClick={toggle} aria-expanded={showsMore}>
            Holidays, zone, and what if the money is missing
          </Button>
        </Group>
        <Collapse expanded={showsMore}>
          <SimpleGrid cols={{ base: 1, xs: 2 }}>
            <NativeSelect label="A date that is a holiday" data={asOptions(HOLIDAYS)} {...text("holidays")} />
            <TextInput label="Time zone" description="Every date is a date there" {...text("zone")} />
            <TextInput
              label="Days to try again"
              description="Where the account has too little"
              inputMode="numeric"
              {...text("retryDays")}
            />
            <NativeSelect
              label="Dates during an outage"
              description="Of this service, for days"
              data={asOptions(OUTAGES)}
              {...text("afterOutage")}
            />
          </SimpleGrid>
        </Collapse>
        {Object.keys(named(refusal)).length === 0 && <FormProblem error={refusal} />}
        <Button type="submit" loading={isBusy} disabled={currency === undefined}>
          {label}
        </Button>
      </Stack>
    </form>
  );
}

const NAMES: Record<string, keyof TypedOrder> = {
  destination_account_id: "payee",
  amount: "amount",
  above: "amount",
  note: "note",
  first_date: "firstDate",
  end_date: "endDate",
  count: "count",
  every: "every",
  time_zone: "zone",
  retry_days: "retryDays",
};

/** What was refused, at the input that it is about. */
function named(refusal: unknown): Objections {
  if (!(refusal instanceof Problem)) return {};
  if (refusal.code === "payee_not_found" || refusal.code === "same_account" || refusal.code === "currency_mismatch")
    return { payee: textOf(refusal) };
  if (refusal.code === "first_date_passed") return { firstDate: textOf(refusal) };
  return Object.fromEntries(
    Object.entries(fieldErrors(refusal, Object.keys(NAMES))).map(([name, message]) => [NAMES[name], message]),
  );
}
