"""A method may return an outcome itself: ``Right`` of its result, or ``Left`` of a failure."""

from unimicro import App, Failure, Left, Outcome, Response, Right, Service, entry


class Monadic(Service):
    @entry(no_auth=True)
    def halve(self, number: int) -> Outcome[int]:
        return Right(number // 2) if number % 2 == 0 else Left(Failure("out_of_range", "odd"))

    @entry(no_auth=True)
    async def unannotated(self):
        return Left(Failure("not_found", "nothing here"))

    @entry(no_auth=True)
    def wrong(self) -> Outcome[int]:
        return Left("just text")

    @entry(no_auth=True)
    def created(self) -> Outcome[Response]:
        return Right(Response({"id": 1}, 201))


app = App(Monadic(), config={})
client = app.test_client()


def test_a_right_is_the_result():
    assert app.call("monadic.halve", 4) == Right(2)
    assert client.post("/halve/4").json == 2


def test_a_left_is_the_failure():
    assert app.call("monadic.halve", 3).monoid[0].code == "out_of_range"
    assert (client.post("/halve/3").status_code, client.post("/halve/3").json["detail"]) == (400, "odd")
    assert client.post("/unannotated").status_code == 404


def test_a_left_of_anything_else_is_internal():
    assert client.post("/wrong").status_code == 500


def test_a_right_may_hold_a_response():
    assert client.post("/created").status_code == 201
