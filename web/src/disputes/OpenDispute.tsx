import { Button, Group, Stack, Text, Textarea } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { api } from "../api/client";
import { answerTo, fieldErrors } from "../api/problem";
import { useKeyed } from "../api/useOnce";
import { FormProblem } from "../ui/FormProblem";
import { Section } from "../ui/Section";
import { showDispute } from "./queries";

/** The payer's way to object to a completed payment. */
export function OpenDispute({ transferId }: { transferId: string }) {
  const [isOpen, { open, close }] = useDisclosure();
  const [reason, setReason] = useState("");
  const navigate = useNavigate();
  const object = useKeyed(
    (body: { reason: string }, key) =>
      answerTo(
        api.POST("/v1/transfers/{transfer_id}/disputes", {
          params: { path: { transfer_id: transferId }, header: { "Idempotency-Key": key } },
          body,
        }),
      ),
    (dispute) => {
      showDispute(dispute);
      navigate({ to: "/disputes/$disputeId", params: { disputeId: dispute.id } });
    },
  );
  const errors = fieldErrors(object.error, ["reason"]);
  function submit(event: FormEvent) {
    event.preventDefault();
    object.mutate({ reason: reason.trim() });
  }
  if (!isOpen)
    return (
      <Section title="Something wrong with it?" says="You paid for what never came, or it was not you.">
        <Button variant="default" size="xs" onClick={open}>
          Open a dispute
        </Button>
      </Section>
    );
  return (
    <Section title="Open a dispute" says="The other side reads it and answers. Then staff decide.">
      <form onSubmit={submit} noValidate>
        <Stack gap="sm">
          <Textarea
            label="What is wrong"
            required
            autosize
            minRows={3}
            maxLength={500}
            autoFocus
            disabled={object.isPending}
            value={reason}
            onChange={(event) => setReason(event.currentTarget.value)}
            error={errors.reason}
          />
          <Text size="sm" c="dimmed">
            It cannot be changed later. The money stays where it is until it is decided.
          </Text>
          <FormProblem error={object.error} shown={Object.keys(errors)} />
          <Group>
            <Button type="submit" loading={object.isPending} disabled={reason.trim() === ""}>
              Open the dispute
            </Button>
            <Button variant="subtle" onClick={close}>
              Not now
            </Button>
          </Group>
        </Stack>
      </form>
    </Section>
  );
}
