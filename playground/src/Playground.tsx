/**
 * GraphiQL and, beside it, what the gateway did for the operation of the open tab. Owns the reports;
 * GraphiQL owns everything else that a tab holds.
 */
import { GraphiQL } from 'graphiql';
import { useCallback, useRef, useState } from 'react';
import { examples } from './examples';
import { switchboardFetcher } from './fetcher';
import { Inspector, type ReportsByTab } from './Inspector';
import type { Report } from './report';

const ENDPOINT = '/graphql';

export function Playground() {
  const [reports, setReports] = useState<ReportsByTab>({});
  // A changed tab cancels the request, so an answer always belongs to the tab open on arrival.
  const openTab = useRef('');
  const keepOpenTab = useCallback((id: string) => void (openTab.current = id), []);
  const [fetcher] = useState(() =>
    switchboardFetcher({
      endpoint: ENDPOINT,
      onReport: (report: Report | null) =>
        setReports((known) => ({ ...known, [openTab.current]: report })),
    }),
  );
  return (
    <GraphiQL fetcher={fetcher} defaultTabs={examples}>
      <GraphiQL.Logo>Switchboard</GraphiQL.Logo>
      <Inspector reports={reports} onOpenTab={keepOpenTab} />
    </GraphiQL>
  );
}
