import { Container } from "@mantine/core";
import { useRouter } from "@tanstack/react-router";
import { NoAnswer, Problem } from "../api/problem";
import { ButtonLink } from "../ui/ButtonLink";
import { PageTitle } from "../ui/PageTitle";
import { CannotRead, Nothing } from "../ui/Shown";

/** Instead of a page that could not be shown: mostly because there is no connection. */
export function PageFailed({ error }: { error: unknown }) {
  const router = useRouter();
  // A part of the page that did not come is asked for again by the browser alone.
  const isRead = error instanceof Problem || error instanceof NoAnswer;
  return (
    <Container size="sm" py="xl">
      <CannotRead error={error} again={() => (isRead ? router.invalidate() : location.reload())} />
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
