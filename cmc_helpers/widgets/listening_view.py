"""The composer test, trial by trial: a thin view of `listening_test`."""

from pathlib import Path

from cmc_helpers import listening_test, notebook
from cmc_helpers.files import FileError
from cmc_helpers.widgets import controls


class ListeningTest:
    """The view that `listening_test` shows: `box` is its widget."""

    def __init__(self, folder: str | Path) -> None:
        import ipywidgets

        self._folder = Path(folder)
        self._answers: listening_test.Answers | None = None
        about = listening_test.read_plan(folder)
        self.trials, self._pair = about["trials"], about["protocol"] == "pair"
        self.name = ipywidgets.Text(description="your name", style={"description_width": "initial"})
        self.familiarity = controls.slider("of all of Bach's music I have heard (%)", 0, 100, 1, 30)
        self.begin = ipywidgets.Button(description="begin")
        self.status, self.sound = ipywidgets.HTML(), ipywidgets.HTML()
        if self._pair:
            self._question = "which is the machine's?"
            words = "the first is the machine's", "the second is the machine's"
        else:
            self._question = "whose is it?"
            words = "it is the composer's", "it is the machine's"
        self.answers = [
            ipywidgets.Button(description=word, layout={"width": "auto"}, disabled=True)
            for word in words
        ]
        self.begin.on_click(self._begun)
        for number, button in enumerate(self.answers):
            button.on_click(lambda _, number=number: self._answered(number))
        asked = [self.name, self.familiarity, self.begin]
        self.box = ipywidgets.VBox(
            [*asked, self.status, self.sound, ipywidgets.HBox(self.answers)],
            layout={"max_width": "64em"},
        )

    def _begun(self, _):
        try:
            familiarity = self.familiarity.value / 100
            self._answers = listening_test.Answers(
                self._folder, self.name.value.strip(), familiarity
            )
        except FileError as error:
            self.status.value = controls.said(str(error), "alert")
            return
        for asked in (self.name, self.familiarity, self.begin):
            asked.disabled = True
        self._play()

    def _answered(self, number):
        if self._answers.next_trial is not None:  # a double click on the last one comes too late
            try:
                self._answers.give(number)
            except FileError as error:
                self.status.value = controls.said(str(error), "alert")
                return
        self._play()

    def _play(self):
        trial = self._answers.next_trial
        for button in self.answers:
            button.disabled = trial is None
        if trial is None:
            self.sound.value = ""
            self.status.value = controls.said(f"All {self.trials} answers are kept. Thank you!")
            return
        self.status.value = controls.said(f"Trial {trial + 1} of {self.trials}: {self._question}")
        names = ("first", "second") if self._pair else ("clip",)
        self.sound.value = "".join(
            notebook.audio_html(listening_test.clip_path(self._folder, trial, i).read_bytes(), name)
            for i, name in enumerate(names)
        )
