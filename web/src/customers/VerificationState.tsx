import { Alert, Text } from "@mantine/core";
import { TextLink } from "../ui/ButtonLink";
import type { Customer } from "./queries";

const STATES = {
  pending: {
    title: "Your identity is being checked",
    says: "Money can come in meanwhile, and none can leave. You get a message when it is done.",
    color: "blue",
  },
  in_review: {
    title: "A person looks at your identity document",
    says: "Money can come in meanwhile, and none can leave. You get a message when it is done.",
    color: "blue",
  },
  rejected: { title: "Your identity was not verified", says: "No money can leave your accounts.", color: "red" },
} as const;

/** What an identity that is not verified yet means, and what to do. Nothing where it is verified. */
export function VerificationState({ me, offersLink = true }: { me: Customer; offersLink?: boolean }) {
  const verification = me.verification;
  if (!verification || verification.state === "verified") return null;
  const { title, says, color } = STATES[verification.state];
  return (
    <Alert color={color} title={title} role="status">
      <Text size="sm">
        {verification.reason && `${verification.reason} `}
        {says}{" "}
        {verification.state === "rejected" && offersLink && (
          <TextLink to="/settings" search={{ section: "identity" }} size="sm" underline="always">
            Send another document
          </TextLink>
        )}
      </Text>
    </Alert>
  );
}
