import { Badge, Loader } from "@mantine/core";
import { STATES, type State } from "./filters";

const COLORS: Record<State, string> = {
  initiated: "blue",
  in_review: "yellow",
  debited: "blue",
  completed: "green",
  compensated: "gray",
  failed: "red",
  cancelled: "gray",
};

/** A transfer's state in words. While it is on its way, something turns. */
export function StateBadge({ state }: { state: State }) {
  const moves = state === "initiated" || state === "debited";
  return (
    <Badge variant="light" color={COLORS[state]} leftSection={moves ? <Loader size={10} color="blue" /> : undefined}>
      {state === "debited" ? STATES.initiated : STATES[state]}
    </Badge>
  );
}
