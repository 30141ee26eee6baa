import { Badge, Text } from "@mantine/core";
import { Money } from "../money/Money";
import { STATE_COLORS, STATES } from "./queries";
import type { StandingOrder } from "./terms";

/** A fixed amount, or what is kept back. */
export function HowMuch({ order }: { order: StandingOrder }) {
  return order.amount !== null ? (
    <Money minor={order.amount} code={order.currency} fw={600} />
  ) : (
    <Text fw={600} component="span">
      Above <Money minor={order.above ?? 0} code={order.currency} fw={600} />
    </Text>
  );
}

export function OrderState({ order }: { order: StandingOrder }) {
  return (
    <Badge variant="light" color={STATE_COLORS[order.state]}>
      {STATES[order.state]}
      {order.paused_by === "staff" && " by staff"}
    </Badge>
  );
}
