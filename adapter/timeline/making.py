"""A timeline from records and, where somebody told of them, from happenings. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from adapter.engine.telling import What
from adapter.protocol.ids import parent_of
from adapter.protocol.moves import UNMOVED, Moves
from adapter.protocol.records import Kind, Record
from adapter.protocol.signs import followed
from adapter.protocol.standing import standing
from adapter.protocol.times import Instant
from adapter.timeline.happened import Happened, Pen, course_told
from adapter.timeline.known import arrows_known, course_known, marks_of
from adapter.timeline.model import Arrow, Course, Part, Row, Timeline
from adapter.timeline.prices import estimated


class Maker:
    """Makes one timeline of these records, in which each caller comes before what it made."""

    def __init__(
        self, records: Sequence[Record], now: Instant, happened: Sequence[Happened] = (), moved: Moves = UNMOVED
    ) -> None:
        self._now = now
        self._moved = moved
        self._by_id = {record.id: record for record in records}
        self._below: dict[str, list[Record]] = defaultdict(list)
        for record in sorted(records, key=lambda one: (one.created_at, one.id)):
            self._below[self._caller(record)].append(record)
        for own, children in self._below.items():
            if own:
                children.sort(key=lambda one: one.ordinal)
        self._told: dict[str, list[Happened]] = defaultdict(list)
        for one in happened:
            self._told[one.promise].append(one)

    def _caller(self, record: Record) -> str:
        """The promise below which a record stands. A root that was detached stands below the call that started it."""
        for caller in (parent_of(record.id) or "", record.detached_by):
            if caller in self._by_id:
                return caller
        return ""

    def make(self, title: str, *, unread: Collection[str] = (), left_out: int = 0) -> Timeline:
        """The timeline; ``unread`` are the functions whose own promises weren't read."""
        rows: list[Row] = []
        positions: dict[str, int] = {}
        for record, depth in self._nested():
            parent = positions.get(self._caller(record))
            positions[record.id] = len(rows)
            above = None if parent is None else rows[parent]
            rows.append(self._row(record, depth, parent, above, record.id in unread))
        arrows = [arrow for row in rows for arrow in self._arrows(row, rows, positions)]
        exact = bool(self._told)
        ends = [row.course.end for row in rows]
        # What is over is shown to its end, however long ago that was.
        now = max([*ends, *([self._now] if any(row.course.open for row in rows) or not rows else [])])
        return Timeline(title=title, now=now, rows=rows, arrows=arrows, exact=exact, left_out=left_out)

    def _nested(self) -> Iterator[tuple[Record, int]]:
        """Each record behind its caller. A loop rather than recursion: a tree may be a thousand levels deep."""
        left = [(record, 0) for record in reversed(self._below[""])]
        while left:
            record, depth = left.pop()
            yield record, depth
            left += [(child, depth + 1) for child in reversed(self._below.get(record.id, ()))]

    def _row(self, record: Record, depth: int, parent: int | None, above: Row | None, unread: bool) -> Row:
        children = [one for one in self._below.get(record.id, ()) if parent_of(one.id) == record.id]
        roots = {root: self._by_id.get(root) for root in followed(record, children, self._now)}
        stands = standing(record, children, self._now, roots, self._moved)
        if told := self._told.get(record.id):
            course = course_told(record, self._created(record, above, told[0]), told, self._now)
            course = _with_marks(course, record)
        else:
            course = course_known(record, children, stands.verdict, self._now)
            course = self._at_once(record, above, course)
        return Row(
            record=record,
            depth=depth,
            parent=parent,
            course=course,
            way=stands.way,
            stands=stands.text,
            dollars=estimated(record, course),
            unread=unread,
        )

    def _created(self, record: Record, above: Row | None, first: Happened) -> Instant:
        """When a promise was created, in the order of what happened at the same time: in its caller's last run."""
        runs = self._runs(above, record.created_at)
        return max([record.created_at, *(run.at for run in runs if run.at <= first.at)])

    def _at_once(self, record: Record, above: Row | None, course: Course) -> Course:
        """A step takes no time where nothing does: it lies in the run of its caller, which happenings tell of."""
        runs = self._runs(above, record.created_at)
        if not runs or record.kind is not Kind.INLINE or course.begin != record.created_at:
            return course
        position = self._told[runs[-1].promise].index(runs[-1]) + 1
        after = self._told[runs[-1].promise][position : position + 1]
        end = next((one.at for one in after if one.clock == record.settled_at), course.end)
        begin = runs[-1].at
        pen = Pen(begin, max(begin, end), Part.RUNNING)
        return replace(course, begin=begin, end=pen.end, segments=pen.close())

    def _runs(self, above: Row | None, clock: Instant) -> list[Happened]:
        """The runs of a caller that began at this time."""
        told = self._told.get(above.id, ()) if above is not None else ()
        return [one for one in told if one.what == What.RUNNING and one.clock == clock]

    def _arrows(self, row: Row, rows: Sequence[Row], positions: Mapping[str, int]) -> Iterator[Arrow]:
        told = self._told.get(row.id)
        if not told:
            children = [one for one in self._below.get(row.id, ()) if parent_of(one.id) == row.id]
            yield from arrows_known(row.record, children) if row.record.kind is Kind.CALL else ()
            return
        by = ""
        for one in told:
            if one.what == What.WAKING:
                by = str(one.detail.get("by", ""))
            elif one.what == What.RUNNING and by in positions:
                begin = min(rows[positions[by]].course.end, one.at)
                yield Arrow(source=by, begin=begin, target=row.id, end=one.at)
                by = ""


def _with_marks(course: Course, record: Record) -> Course:
    marks = (*course.marks, *marks_of(record))
    return replace(course, marks=marks)
