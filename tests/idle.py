"""A workforce that does nothing: what is admitted waits."""


class Idle:
    def notify(self) -> None:
        pass

    def interrupt(self, turn_id: int) -> None:
        pass
