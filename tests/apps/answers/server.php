<?php
// What an application in PHP can say: `php -S ADDRESS:PORT server.php`.
switch ($_SERVER['PATH_INFO'] ?? $_SERVER['SCRIPT_NAME']) {
    case '/a-line-without-a-colon':
        header('PHP Warning in Unknown on line 0');
        break;
    case '/a-blank-before-a-colon':
        header('Content-Length : 5');
        break;
    case '/the-length-twice':
        header('Content-Length: 5');
        header('Content-Length: 5', false);
        break;
    case '/a-tab-before-the-length':
        header("Content-Length:\t5");
        break;
    case '/chunked-twice':
        header('Transfer-Encoding: chunked');
        header('Transfer-Encoding: chunked', false);
        exit("5\r\nhello\r\n0\r\n\r\n");
    case '/both-lengths':
        header('Content-Length: 5');
        header('Transfer-Encoding: chunked');
        exit("5\r\nhello\r\n0\r\n\r\n");
    case '/140-cookies':
        for ($i = 0; $i < 140; $i++) {
            setcookie("cookie-$i", 'value');
        }
        break;
    case '/a-head-of-70-KiB':
        header('X-Long: ' . str_repeat('a', 70 << 10));
        break;
    case '/204-with-a-body':
        http_response_code(204);
        header('Content-Length: 5');
        break;
}
echo 'hello';
