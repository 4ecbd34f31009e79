/** Puts the ids that have been seen in answers where a tab's variables still say PROJECT_ID or JOB_ID. */
import { pick, useGraphiQL } from "@graphiql/react";
import { useEffect, useRef } from "react";

import { activeTab, filled, idsIn } from "./examples";

export function FilledIn() {
  const { variableEditor, ...state } = useGraphiQL(pick("tabs", "activeTabIndex", "variableEditor"));
  const ids = useRef<Record<string, string>>({});
  const tab = activeTab(state);

  useEffect(() => {
    ids.current = idsIn(tab?.response, ids.current);
  }, [tab?.response]);

  useEffect(() => {
    const model = variableEditor?.getModel();
    if (!model || variableEditor?.hasTextFocus()) return; // never under the user's hands
    const text = model.getValue();
    const complete = filled(text, ids.current);
    if (complete !== text) model.setValue(complete);
  }, [tab?.id, variableEditor]);

  return null;
}
