import { Button, Group, Modal, Stack, Text, Textarea } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { fieldErrors } from "../api/problem";
import { FormProblem } from "../ui/FormProblem";
import { type Act, isUnknown, useAct } from "./act";
import { WINDOW } from "./window";

type ActFormProps<T> = Act<T> & { close: () => void };

/** The window in which an act gets its reason. Its button loads it: most pages are read without any act. */
export function ActWindow<T>({ isOpen, ...act }: ActFormProps<T> & { isOpen: boolean }) {
  return (
    <Modal
      data-act={isOpen || undefined}
      opened={isOpen}
      onClose={act.close}
      // It is there from its first opening on, too late to see where the focus was: the button takes it back.
      returnFocus={false}
      title={act.title}
      {...WINDOW}
    >
      <ActForm {...act} />
    </Modal>
  );
}

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
