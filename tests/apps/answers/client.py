# What Python's own client makes of answers, a line each: python3 client.py ADDRESS PORT KEY ANSWER...
import http.client
import sys
from concurrent.futures import ThreadPoolExecutor

address, port, key = sys.argv[1:4]


def ask(answer):
    connection = http.client.HTTPConnection(address, int(port), timeout=8)
    try:
        connection.request("GET", f"/{answer}", headers={"x-byway-key": key} if key else {})
        response = connection.getresponse()
    except Exception as error:
        return type(error).__name__
    try:
        return f"{response.status} {response.read().decode()}"
    except Exception as error:
        return f"{response.status} {type(error).__name__}"


with ThreadPoolExecutor(4) as pool:
    for said in pool.map(ask, sys.argv[4:]):
        print(said)
