import { Button, Group, NativeSelect, SimpleGrid, Stack, Text, TextInput } from "@mantine/core";
import { useState } from "react";
import { type Account, grouped, useCurrency } from "../accounts/queries";
import { moneyText, readAmount } from "../money/money";
import type { TypedRow } from "./columns";
import { csvOf, objectionsTo } from "./csv";

const MOST_TYPED = 100;

type TypedRowsProps = {
  accounts: Account[];
  sourceId: string;
  rows: TypedRow[];
  change: (sourceId: string, rows: TypedRow[]) => void;
  send: (csv: string) => void;
  isSent: boolean;
};

const another = (rows: readonly TypedRow[]): TypedRow => ({
  // Unique for good: the books have a reference once for each account.
  reference: `${new Date().toISOString().slice(0, 10)}-${crypto.randomUUID().slice(0, 6)}-${rows.length + 1}`,
  payee: "",
  amount: "",
  note: "",
});

/** A batch that is typed: one row is one payment from the chosen account. */
export function TypedRows({ accounts, sourceId, rows, change, send, isSent }: TypedRowsProps) {
  const [isChecked, setChecked] = useState(false);
  const source = accounts.find(({ id }) => id === sourceId) ?? accounts[0];
  const currency = useCurrency(source?.currency);
  if (source === undefined || currency === undefined) return null;
  const objections = rows.map((row) => objectionsTo(row, currency));
  const total = rows.reduce((sum, row) => {
    const amount = readAmount(row.amount, currency);
    return "minor" in amount ? sum + amount.minor : sum;
  }, 0);
  const set = (place: number, changed: Partial<TypedRow>) =>
    change(
      source.id,
      rows.map((row, each) => (each === place ? { ...row, ...changed } : row)),
    );
  function check() {
    setChecked(true);
    if (currency === undefined || source === undefined) return;
    if (rows.length > 0 && objections.every((each) => Object.keys(each).length === 0))
      send(csvOf(rows, source.id, currency));
  }
  return (
    <Stack>
      {accounts.length > 1 && (
        <NativeSelect
          label="From"
          data={accounts.map(({ id, name, currency: code, number }) => ({
            value: id,
            label: `${name ?? code} · ${grouped(number)}`,
          }))}
          value={source.id}
          onChange={(event) => change(event.currentTarget.value, rows)}
        />
      )}
      {rows.map((row, place) => {
        const errors = isChecked ? (objections[place] ?? {}) : {};
        const text = (name: keyof TypedRow) => ({
          value: row[name],
          error: errors[name],
          onChange: (event: { currentTarget: { value: string } }) => set(place, { [name]: event.currentTarget.value }),
        });
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: a row is its place
          <fieldset key={place} className="bare">
            <legend className="for-readers">Payment {place + 1}</legend>
            <SimpleGrid cols={{ base: 1, xs: 2, md: 4 }} spacing="xs">
              <TextInput label={`To, payment ${place + 1}`} placeholder="RM" autoComplete="off" {...text("payee")} />
              <TextInput
                label={`Amount, payment ${place + 1}`}
                inputMode="decimal"
                autoComplete="off"
                leftSection={<Text size="sm">{currency.symbol ?? currency.code}</Text>}
                leftSectionWidth={currency.symbol ? 36 : 52}
                {...text("amount")}
              />
              <TextInput label={`Note, payment ${place + 1}`} maxLength={140} {...text("note")} />
              <TextInput label={`Reference, payment ${place + 1}`} autoComplete="off" {...text("reference")} />
            </SimpleGrid>
            <Group justify="flex-end" mt={4}>
              <Button
                size="compact-xs"
                variant="subtle"
                color="gray"
                aria-label={`Remove payment ${place + 1}`}
                onClick={() =>
                  change(
                    source.id,
                    rows.filter((_, each) => each !== place),
                  )
                }
              >
                Remove
              </Button>
            </Group>
          </fieldset>
        );
      })}
      <Group justify="space-between">
        <Button
          variant="default"
          size="xs"
          disabled={rows.length >= MOST_TYPED}
          onClick={() => change(source.id, [...rows, another(rows)])}
        >
          Add a payment
        </Button>
        <Text size="sm" fw={600}>
          {rows.length} {rows.length === 1 ? "payment" : "payments"}, {moneyText(total, currency)} of{" "}
          {moneyText(source.available, currency)}
        </Text>
      </Group>
      <Button onClick={check} disabled={rows.length === 0} loading={isSent}>
        Send {rows.length} {rows.length === 1 ? "payment" : "payments"}
      </Button>
    </Stack>
  );
}
