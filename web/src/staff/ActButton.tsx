import { Button, Group, Modal, Stack, Text, Textarea } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { type FormEvent, type ReactNode, useState } from "react";
import { fieldErrors } from "../api/problem";
import { FormProblem } from "../ui/FormProblem";
import { type Acted, isUnknown, useAct } from "./act";
import { WINDOW } from "./window";

type ActButtonProps<T> = Acted<T> & {
  label: string;
  /** What is asked before it is done, and what it does. */
  title: string;
  says: ReactNode;
  confirm?: string;
  /** For what takes something away. */
  isHard?: boolean;
  isFirst?: boolean;
  isDisabled?: boolean;
  /** Why it may not be done now, such as an input that is missing. */
  objection?: string | null;
  children?: ReactNode;
};

/** An act of staff. It asks for the reason, is sent once whatever happens to its answer, and tells what it has done. */
export function ActButton<T>({ label, isFirst, isDisabled, ...act }: ActButtonProps<T>) {
  const [isOpen, { open, close }] = useDisclosure();
  return (
    <>
      <Button size="xs" variant={isFirst ? "filled" : "default"} onClick={open} disabled={isDisabled}>
        {label}
      </Button>
      <Modal data-act={isOpen || undefined} opened={isOpen} onClose={close} title={act.title} {...WINDOW}>
        <ActForm {...act} label={label} close={close} />
      </Modal>
    </>
  );
}

type ActFormProps<T> = Omit<ActButtonProps<T>, "isFirst" | "isDisabled"> & { close: () => void };

function ActForm<T>({ label, says, confirm = label, isHard, objection, children, close, ...acted }: ActFormProps<T>) {
  const [reason, setReason] = useState("");
  const act = useAct({
    ...acted,
    onDone: (answer) => {
      close();
      acted.onDone?.(answer);
    },
  });
  const isAsking = act.isPending && act.failureCount > 0;
  // Another reason would be another request under the same key.
  const isLocked = act.isPending || isUnknown(act.error);
  const errors = fieldErrors(act.error, ["reason"]);
  function submit(event: FormEvent) {
    event.preventDefault();
    act.mutate(reason.trim());
  }
  return (
    <form onSubmit={submit} noValidate>
      <Stack gap="sm">
        <Text size="sm" component="div">
          {says}
        </Text>
        <fieldset className="bare" disabled={isLocked}>
          <Stack gap="sm">
            {children}
            <Textarea
              label="Reason"
              description="Stands in the record, with your name"
              placeholder="Ticket 4711: …"
              required
              autosize
              minRows={2}
              maxLength={500}
              data-autofocus
              value={reason}
              onChange={(event) => setReason(event.currentTarget.value)}
              error={errors.reason}
            />
          </Stack>
        </fieldset>
        {isAsking && (
          <Text size="sm" role="status">
            Not known yet, asking again…
          </Text>
        )}
        <FormProblem error={act.error} shown={Object.keys(errors)} />
        {objection && (
          <Text size="sm" c="dimmed">
            {objection}
          </Text>
        )}
        <Group justify="flex-end" gap="xs">
          <Button variant="subtle" onClick={close}>
            Not now
          </Button>
          <Button
            type="submit"
            color={isHard ? "red.9" : undefined}
            loading={act.isPending}
            disabled={reason.trim() === "" || Boolean(objection)}
          >
            {isUnknown(act.error) ? "Ask what became of it" : confirm}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
