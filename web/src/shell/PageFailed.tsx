import { Container } from "@mantine/core";
import { useRouter } from "@tanstack/react-router";
import { ButtonLink } from "../ui/ButtonLink";
import { PageTitle } from "../ui/PageTitle";
import { CannotRead, Nothing } from "../ui/Shown";

/** Instead of a page that could not be shown: mostly because there is no connection. */
export function PageFailed({ error }: { error: unknown }) {
  const router = useRouter();
  return (
    <Container size="sm" py="xl">
      <CannotRead error={error} again={() => router.invalidate()} />
    </Container>
  );
}

export function PageMissing() {
  return (
    <Container size="sm" py="xl" component="main">
      <PageTitle title="There is no such page" />
      <Nothing says="The address may be mistyped, or from an older version.">
        <ButtonLink to="/dashboard">To the dashboard</ButtonLink>
      </Nothing>
    </Container>
  );
}
