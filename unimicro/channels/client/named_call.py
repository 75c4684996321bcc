"""What ``dispatch-json``, ``dispatch-msgpack`` and ``stream`` know of an operation that they call by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.channels.client.http_arguments import check_no_uploads
from unimicro.channels.client.http_refusals import malformed
from unimicro.channels.client.http_results import body_type, unfit
from unimicro.conversion import ConversionError
from unimicro.encoding import all_exact, encode, read_whole
from unimicro.outcome import Left, Right
from unimicro.plain import plain_reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from unimicro.conversion import Converter
    from unimicro.encoding import Format
    from unimicro.operation import Operation
    from unimicro.outcome import Outcome

__all__ = ["NamedCall"]


class NamedCall(NamedTuple):
    """One operation, whatever its arguments and its result travel in.

    Attributes:
        method: ``component:service:method``.
        write: Arguments, or what holds them, to octets; raises one of ``UNWRITABLE``.
        read: Octets of a result to its declared type; raises ``ValueError``.
    """

    method: str
    write: Callable[[Any], bytes]
    read: Converter

    @classmethod
    def of(cls, operation: Operation, channel: str, component: str, form: Format) -> NamedCall:
        """That of an operation of an interface.

        Raises:
            DefinitionError: A parameter or the result cannot be carried.
            MissingExtra: The package msgpack is needed and not installed.
        """
        check_no_uploads(operation, channel)
        signature, plain = operation.signature, plain_reader(form)
        service, _, method = operation.name.rpartition(".")
        exact = not signature.takes_rest and all_exact(p.annotation for p in signature.parameters)
        return cls(
            f"{component}:{service}:{method}",
            encode(form, exact=exact),
            read_whole(
                body_type(signature.returns),
                form,
                lambda octets: plain(bytes(octets)),
                f"{operation.name}: result",
            ),
        )

    def result(self, octets: Any) -> Outcome[Any]:
        """The result that octets stand for; ``Left`` where they are none of the declared type."""
        try:
            return Right(self.read(octets))
        except ConversionError as error:
            return Left(unfit(error))
        except ValueError:
            return Left(malformed("has a result that cannot be read"))
