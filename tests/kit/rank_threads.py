"""Two ranks of a group as threads of one process: no launcher, no sockets."""

from models.images.rank_group import Group


class Threads(Group):
    """parts: a list of two, shared by both; meeting: a threading.Barrier of two."""

    def __init__(self, rank, parts, meeting):
        super().__init__(rank, 2, "cpu", 60.0, False)
        self.parts, self.meeting = parts, meeting

    def total(self, value):
        self.parts[self.rank] = value.detach().clone()
        self.meeting.wait()
        whole = self.parts[0] + self.parts[1]
        self.meeting.wait()
        return value.copy_(whole)
