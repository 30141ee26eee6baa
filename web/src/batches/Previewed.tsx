import { Alert, Button, Stack, Text } from "@mantine/core";
import { Money } from "../money/Money";
import { Nothing } from "../ui/Shown";
import { previewOf } from "./csv";

const PREVIEWED = 5;

type PreviewedProps = { csv: string; name: string; send: () => void; isSent: boolean };

/** What would be sent, added up, so that nobody sends a hundred times too much. */
export function Previewed({ csv, name, send, isSent }: PreviewedProps) {
  const { rows, sums, unreadable } = previewOf(csv);
  const payments = `${rows.length} ${rows.length === 1 ? "payment" : "payments"}`;
  if (rows.length === 0) return <Nothing says="The file has no line behind its first one." />;
  return (
    <Stack gap="sm">
      <Text fw={600} component="div">
        {name}: {payments}
        {sums.map(([code, minor]) => (
          <span key={code}>
            , <Money minor={minor} code={code} fw={600} />
          </span>
        ))}
      </Text>
      <ul className="list">
        {rows.slice(0, PREVIEWED).map((row) => (
          <Text component="li" size="sm" key={`${row.reference} ${row.destination}`}>
            {row.reference}: <PreviewedAmount amount={row.amount} currency={row.currency} /> to{" "}
            <span className="code">{row.destination}</span>
          </Text>
        ))}
        {rows.length > PREVIEWED && (
          <Text component="li" size="sm" c="dimmed">
            and {rows.length - PREVIEWED} more
          </Text>
        )}
      </ul>
      {unreadable > 0 && (
        <Alert color="yellow">
          {unreadable} of them have no amount in digits, or no currency. The service will say which lines.
        </Alert>
      )}
      <Button onClick={send} loading={isSent}>
        Send {payments}
      </Button>
    </Stack>
  );
}

function PreviewedAmount({ amount, currency }: { amount: string; currency: string }) {
  return /^\d{1,15}$/.test(amount) ? (
    <Money minor={Number(amount)} code={currency} size="sm" />
  ) : (
    `${amount} ${currency}`
  );
}
