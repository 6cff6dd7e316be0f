// The playground as a reader uses it: the editor, the run button, the answer and the panels.

export function playground(page) {
  const inspector = page.getByRole('complementary', { name: 'Plan and upstream calls' });
  return {
    inspector,
    summary: inspector.getByRole('status'),
    steps: inspector.locator('.plan-step'),
    calls: inspector.locator('.call'),
    bars: inspector.locator('.call-bar'),

    run: () => page.getByRole('button', { name: /^Execute query/ }).click(),

    openTab: (name) => page.getByRole('tab', { name }).click(),

    async write(query) {
      const editor = page.getByRole('region', { name: 'Query Editor' });
      await editor.locator('.CodeMirror-lines').click();
      await page.keyboard.press('ControlOrMeta+A');
      // As one insertion, since typed brackets would be closed by the editor.
      await page.keyboard.insertText(query);
    },

    // The editor draws only the lines in view; its document has them all.
    answer: () => page.locator('.result-window .CodeMirror').evaluate((element) => element.CodeMirror.getValue()),

    async answered() {
      await page.waitForFunction(() => {
        const editor = document.querySelector('.result-window .CodeMirror');
        const stop = document.querySelector('button[aria-label^="Stop query"]');
        return editor?.CodeMirror.getValue().trim() && !stop;
      });
      return JSON.parse(await this.answer());
    },
  };
}
