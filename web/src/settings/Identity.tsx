import { Button, Group, NativeSelect, Stack, Text, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery } from "@tanstack/react-query";
import { cache } from "../api/cache";
import { api } from "../api/client";
import { answerTo, fieldErrors } from "../api/problem";
import { DOCUMENT_TYPES, type DocumentType } from "../customers/documents";
import { type Customer, meQuery } from "../customers/queries";
import { VerificationState } from "../customers/VerificationState";
import { Facts } from "../ui/Facts";
import { FormProblem } from "../ui/FormProblem";
import { Section } from "../ui/Section";
import { Shown } from "../ui/Shown";

export function Identity() {
  const me = useQuery(meQuery);
  return (
    <Shown query={me}>
      {(found) => (
        <Stack>
          <Section title="You">
            <Facts
              facts={[
                ["Name", found.full_name],
                ["E-mail", <Address key="email" me={found} />],
                ["Identity", found.verification?.state === "verified" ? "Verified" : "Not verified yet"],
                ["Document", found.verification && documentText(found.verification)],
              ]}
            />
            <VerificationState me={found} offersLink={false} />
          </Section>
          {found.verification?.state === "rejected" && <AnotherDocument />}
        </Stack>
      )}
    </Shown>
  );
}

function documentText(verification: NonNullable<Customer["verification"]>): string {
  const type = DOCUMENT_TYPES.find(({ value }) => value === verification.document_type)?.label;
  return `${type}, ends with ${verification.number_ends_with}`;
}

function Address({ me }: { me: Customer }) {
  const mail = useMutation({
    mutationFn: () => answerTo(api.POST("/v1/auth/email-verification/mail")),
    onSuccess: () => notifications.show({ message: "A mail with a link is on its way." }),
  });
  return (
    <Stack gap="xs">
      <Group gap="xs">
        <Text span>{me.email}</Text>
        <Text span size="sm" c="dimmed">
          {me.email_verified ? "verified" : "not verified"}
        </Text>
        {!me.email_verified && (
          <Button size="compact-xs" variant="default" onClick={() => mail.mutate()} loading={mail.isPending}>
            Send the link again
          </Button>
        )}
      </Group>
      <FormProblem error={mail.error} />
    </Stack>
  );
}

function AnotherDocument() {
  const form = useForm({ initialValues: { type: "NIN" as DocumentType, number: "" } });
  const sendDocument = useMutation({
    mutationFn: (body: typeof form.values) => answerTo(api.POST("/v1/customers/me/documents", { body })),
    onSuccess: () => cache.invalidateQueries({ queryKey: ["me"] }),
    onError: (error) => form.setErrors(fieldErrors(error, ["type", "number"])),
  });
  return (
    <Section title="Another document" says="The last one was not accepted. Send one that shows your full name.">
      <form onSubmit={form.onSubmit((typed) => sendDocument.mutate(typed))} noValidate>
        <Stack maw={420}>
          <NativeSelect label="Document" data={DOCUMENT_TYPES} {...form.getInputProps("type")} />
          <TextInput label="Its number" autoComplete="off" required {...form.getInputProps("number")} />
          <FormProblem error={sendDocument.error} shown={Object.keys(form.errors)} />
          <Button type="submit" loading={sendDocument.isPending}>
            Send the document
          </Button>
        </Stack>
      </form>
    </Section>
  );
}
